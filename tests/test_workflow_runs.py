"""The workflows, replayed by act as a fork on GitHub would run them: what would fail there fails here.

The pipeline of DVC is a short one, as the weeks test their own, and the tests of the weeks are not run.
"""

import shutil
import subprocess
import sys

import pytest

from google_drive import FOLDER_ID, google
from replay import OWNER, WEEKS, Fork

WEEK = WEEKS[0]
PULL_REQUEST = {"pull_request": {"number": 7, "head": {"ref": "change", "repo": {"full_name": OWNER}}}}


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """A fork in which a change has made MCC grow from 0.5 to 0.625."""
    fork = Fork(tmp_path_factory.mktemp("fork"))
    for mcc in (0.5, 0.625):
        fork.train(mcc)
    return fork


@pytest.mark.parametrize(
    ("workflow", "event", "options", "variable"),
    [
        (WEEK, "push", ["--job", "model"], "DVC_REMOTE_URL"),
        ("week_7_ecr", "push", [], "AWS_REGION"),
        ("week_7_ecr", "pull_request", [], "AWS_REGION"),
        ("week_8_serverless", "push", ["--job", "check"], "AWS_REGION"),
    ],
)
def test_green_in_a_fork_without_secrets_and_one_notice_names_the_variable(workflow, event, options, variable, fork):
    printed = fork.replay(workflow, event, *options)
    notices = [line for line in printed.splitlines() if "::notice" in line]
    assert len(notices) == 1
    assert variable in notices[0]


def test_a_pull_request_has_one_comment_with_the_changes_of_the_metrics(fork):
    printed = fork.replay(WEEK, "pull_request", "--job", "comment", payload=PULL_REQUEST)
    assert "Job succeeded" in printed
    call, *table = fork.calls.read_text().partition("pr comment")[2].splitlines()
    assert call.startswith(" 7 --edit-last --create-if-none --body-file")
    (row,) = (line.split("|") for line in table if "model.mcc" in line)
    assert [cell.strip() for cell in row[3:-1]] == ["0.5", "0.625", "0.125"]


def test_a_pull_request_of_a_stranger_is_green_without_a_comment(fork):
    fork.calls.write_text("")
    stranger = {"pull_request": {"number": 7, "head": {"ref": "change", "repo": {"full_name": "stranger/mlops"}}}}
    fork.replay(WEEK, "pull_request", "--job", "comment", payload=stranger)
    assert "comment" not in fork.calls.read_text()


def test_what_an_earlier_run_has_trained_is_not_trained_again(fork):
    for _ in range(1 if (fork.store / "cache").exists() else 2):
        printed = fork.replay(WEEK, "workflow_dispatch", "--job", "model")
    assert "Stage 'train' is cached" in printed


@pytest.fixture(scope="module")
def pushed(fork, tmp_path_factory):
    """The fork after its reader has made the model, pushed it to the folder that is returned too, and committed."""
    remote, week = tmp_path_factory.mktemp("remote"), fork.repository / WEEK
    for command in ("repro", f"remote add --local --default there {remote}", "push"):
        subprocess.run([sys.executable, "-m", "dvc", "--quiet", *command.split()], cwd=week, check=True)
    fork.commit()
    shutil.rmtree(week / ".dvc" / "cache")
    shutil.rmtree(fork.store / "cache", ignore_errors=True)
    return fork, remote


@pytest.mark.parametrize("way", ["a folder", "Google Drive with a key", "Google Drive without a key"])
def test_with_a_remote_the_model_is_pulled_and_nothing_is_trained(way, pushed, tmp_path):
    fork, remote = pushed
    shutil.rmtree(fork.store / "cache", ignore_errors=True)
    with google(remote, tmp_path) as server:
        variables = {"DVC_REMOTE_URL": str(remote) if way == "a folder" else f"gdrive://{FOLDER_ID}"}
        secrets = {"GDRIVE_CREDENTIALS_DATA": server.json_key} if "with a" in way else {}
        if "without" in way:
            account = {"GCP_SERVICE_ACCOUNT": "a@b.iam.gserviceaccount.com"}
            variables |= {"GCP_WORKLOAD_IDENTITY_PROVIDER": "projects/1"} | account
        given = {"variables": variables, "secrets": secrets, "STAND_IN_TOKEN": server.free_token, **server.environment}
        printed = fork.replay(WEEK, "push", "--job", "model", **given)
    assert "1 file fetched" in printed
    assert "Stage 'train' didn't change, skipping" in printed
    assert bool(server.requests) == (way != "a folder")
    assert not [secret for secret in (*server.tokens, "PRIVATE KEY") if secret in printed]


@pytest.mark.parametrize("workflow", WEEKS[1:])
def test_another_branch_than_main_asks_for_no_role(workflow, fork):
    fork.git("switch", "--quiet", "--create", "change")
    fork.git("commit", "--quiet", "--allow-empty", "--message", "of this branch alone")
    variables = {"AWS_REGION": "eu-central-1", "AWS_BUCKET": "bucket", "ECR_REPOSITORY": "cola"}
    printed = fork.replay(workflow, "workflow_dispatch", "--job", "check", variables=variables)
    fork.git("switch", "--quiet", "main")
    fork.git("branch", "--quiet", "-D", "change")
    assert "only the branch main" in printed


@pytest.mark.parametrize(("typed", "greeted"), [({}, "world"), ({"name": "$(id); Ann"}, "$(id); Ann")])
def test_the_first_action_greets_by_name_and_is_red_where_a_week_is_not_its_lesson(typed, greeted, fork):
    printed = fork.replay("basic", "workflow_dispatch", payload={"inputs": typed}, code=1)
    assert f"| Hello, {greeted}.\n" in printed  # what is typed is data, not a command
    assert "Failure - Main Is every week the one before it and its lesson?" in printed


def test_ci_runs_a_week_from_a_copy_of_its_folder(fork):
    printed = fork.replay("ci", "push", "--job", "week", "--matrix", "week:0")
    assert "| pytest\n" in printed


@pytest.mark.parametrize(
    ("variables", "event", "published"),
    [({}, "push", False), ({"PUBLISH_SITE": "true"}, "push", True), ({"PUBLISH_SITE": "true"}, "pull_request", False)],
)
def test_the_site_is_published_from_main_where_that_is_wanted(variables, event, published, fork):
    fork.program("mkdocs", "bash", "mkdir -p site && echo $SITE_URL > site/index.html")
    shutil.rmtree(fork.store / "artifacts", ignore_errors=True)
    printed = fork.replay("pages", event, variables=variables)
    assert ("| published" in printed) == published
    assert ("PUBLISH_SITE" in printed) == (not variables)


@pytest.mark.parametrize(
    ("open_issue", "call"), [("", "issue create --title The newest"), ("12", "issue comment 12 --body")]
)
def test_a_release_that_breaks_a_week_is_told_in_one_issue(open_issue, call, fork):
    fork.program("make", "bash", "mkdir -p .venv/bin; ln -s /bin/echo .venv/bin/python; [ $2 = WEEK=0 ]")
    weeks = ("--matrix", "week:0", "--matrix", "week:1")
    printed = fork.replay("newest", "workflow_dispatch", *weeks, code=1, STAND_IN_ISSUE=open_issue)
    assert printed.count("| -m pip freeze") == 2
    assert fork.calls.read_text().splitlines()[-1].startswith(call)
