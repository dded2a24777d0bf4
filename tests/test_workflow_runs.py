"""The workflows, run here as a fork on GitHub would run them (runner.py): what would fail there fails here.

The change that starts them makes the training short, and the tests of the weeks, which run elsewhere, are only
collected. Jobs that call docker need an engine (marker `docker`).
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine import answers
from runner import DOCKER, Expression, Fixed, Fork, UnsupportedError, inputs_of, load, selects, triggers
from walk import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("week_*.yaml"))
BASIC = ROOT / ".github" / "workflows" / "basic.yaml"
WEEK_6 = ROOT / ".github" / "workflows" / "week_6_github_actions.yaml"
EVENTS = ["push", "pull_request", "workflow_dispatch"]
CASES = [(workflow, event) for workflow in WORKFLOWS for event in EVENTS if event in load(workflow)["on"]]
SHORT = 'overrides: "training.epochs=1 training.batches=0.01"'
TOKEN = "the-token-of-the-run"


def shorter(text: str) -> str:
    assert 'overrides: ""' in text
    return text.replace('overrides: ""', SHORT)


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    """The fork in which a week was changed; later runs find what earlier ones have cached, as on GitHub."""
    made: dict[str, Fork] = {}

    def fork(workflow: Path) -> Fork:
        if workflow.stem not in made:
            folder = tmp_path_factory.mktemp(workflow.stem)
            made[workflow.stem] = Fork(folder, {f"{workflow.stem}/params.yaml": shorter})
        return made[workflow.stem]

    return fork


@pytest.fixture
def environment(monkeypatch):
    """What the runs see of the world: GitHub's API, and no more than the names of the weeks' tests."""
    for folder in ("week_6_github_actions/tests", "week_6_github_actions"):
        monkeypatch.syspath_prepend(ROOT / folder)
    from github_api import github

    with github(TOKEN) as server:
        yield {"GITHUB_API_URL": server.url, "PYTEST_ADDOPTS": "--collect-only -qq"}, server


def start(fork: Fork, event: str):
    return {"push": fork.push, "pull_request": fork.pull_request, "workflow_dispatch": fork.dispatch}[event]()


@pytest.mark.parametrize(("workflow", "event"), CASES, ids=lambda case: getattr(case, "stem", case))
def test_a_workflow_is_green_in_a_fork_without_secrets_and_variables(workflow, event, forks, environment):
    fork = forks(workflow)
    run = fork.run(workflow, start(fork, event), environment=environment[0])
    assert not run.failures(), run.failures()
    assert any(job.conclusion == "success" for job in run.jobs.values())
    # What is left out for want of an account is said at the top of the run, with the variable that turns it on.
    assert any(re.search(r"\b[A-Z]+(?:_[A-Z]+)+\b", remark) for remark in run.notices), run.notices


@pytest.mark.parametrize("name", ["week_7_ecr", "week_8_serverless"])
def test_another_branch_than_main_asks_for_no_role(name, forks, environment):
    workflow = next(each for each in WORKFLOWS if each.stem == name)
    event = forks(workflow).dispatch()
    event.ref = "refs/heads/change"
    variables = {"AWS_REGION": "eu-central-1", "AWS_BUCKET": "bucket", "ECR_REPOSITORY": "cola"}
    run = forks(workflow).run(workflow, event, variables=variables, environment=environment[0])
    assert not run.failures(), run.failures()
    assert any("only the branch main" in remark for remark in run.notices), run.notices


@pytest.mark.docker
@pytest.mark.skipif(not answers(), reason="no Docker engine answers")
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_all_jobs_run_where_an_engine_answers(workflow, forks, environment):
    fork = forks(workflow)
    try:
        run = fork.run(workflow, fork.push(), environment=environment[0], engine=True)
    finally:
        for image in re.findall(r"docker build.* --tag (\S+)", workflow.read_text()):
            subprocess.run([DOCKER, "image", "rm", "--force", image], capture_output=True)
    assert not run.failures(), run.failures()
    assert {job.conclusion for job in run.jobs.values()} <= {"success", "skipped"}


def test_the_first_action_greets_by_name_and_looks_at_the_weeks(tmp_path):
    fork = Fork(tmp_path, {".github/workflows/basic.yaml": lambda text: text + "\n"})
    for event, name in ((fork.push(), "world"), (fork.dispatch(), "world"), (fork.dispatch(name="$(id); Ann"), 0)):
        (job,) = fork.run(BASIC, event).jobs.values()
        assert job.conclusion == "success", job.output
        assert f"Hello, {name or '$(id); Ann'}.\n" in job.summary  # what is typed is data, not a command
        assert "the ladder holds" in job.summary


def test_the_first_action_turns_red_when_a_week_is_not_what_its_lesson_says(tmp_path):
    fork = Fork(tmp_path, {"week_5_docker/app.py": lambda text: text + "\n"})
    (job,) = fork.run(BASIC, fork.dispatch()).jobs.values()
    assert job.conclusion == "failure"
    assert "a way lesson.diff does not teach" in job.summary


def test_a_pull_request_has_one_comment_with_the_changes_of_the_metrics(forks, environment):
    from comment import MARK

    fork, (variables, server) = forks(WEEK_6), environment
    server.add(7, "Looks good.", "User")
    before = server.add(7, f"{MARK}\nof an earlier run", "Bot")
    run = fork.run(WEEK_6, fork.pull_request(7), environment=variables)
    assert run.jobs["comment"].conclusion == "success", run.failures()
    assert [comment["body"] for comment in server.comments[:1]] == ["Looks good."]
    assert server.comments[1:] == [before]
    assert "model.mcc" in before["body"]
    assert run.jobs["model"].summary.strip() in before["body"]


def test_a_pull_request_of_another_fork_is_green_without_a_comment(forks, environment):
    fork, (variables, server) = forks(WEEK_6), environment
    run = fork.run(WEEK_6, fork.pull_request(head="stranger/mlops"), environment=variables,
                   variables={"DVC_REMOTE_URL": "gdrive://folder/cola"})  # fmt: skip
    assert not run.failures(), run.failures()
    assert not server.comments
    assert any("No comment" in remark for remark in run.notices)


def test_what_an_earlier_run_has_trained_is_not_trained_again(forks, environment):
    fork = forks(WEEK_6)
    for _ in range(1 if (fork.folder / "cache").exists() else 2):
        run = fork.run(WEEK_6, fork.push(), environment=environment[0])
    (step,) = (step for step in run.jobs["model"].steps if step.name == "Get the model")
    assert step.outcome == "success"
    assert "python train.py" not in step.output


@pytest.fixture(scope="module")
def pushed(forks, tmp_path_factory):
    """A fork whose reader has trained, pushed the model to the folder that is returned too, and committed."""
    warm = forks(WEEK_6)
    if not (warm.folder / "cache").exists():
        warm.run(WEEK_6, warm.push(), environment={"PYTEST_ADDOPTS": "--collect-only -qq"})
    folder = tmp_path_factory.mktemp("pushed")
    fork = Fork(folder / "fork", {"week_6_github_actions/params.yaml": shorter})
    week = fork.repository / "week_6_github_actions"
    shutil.copytree(next((warm.folder / "cache").iterdir()), week / ".dvc" / "cache")  # so that no time is lost
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # the stages call python
    for command in (["remote", "add", "--local", "--default", "there", str(folder / "remote")], ["repro"], ["push"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=week, check=True, env=os.environ | path)
    fork.sha = fork.commit("The model")
    return fork, folder / "remote"


@pytest.mark.parametrize("way", ["a folder", "Google Drive with a key", "Google Drive without a key"])
def test_with_a_remote_the_model_is_pulled_and_nothing_is_trained(way, pushed, environment, tmp_path):
    from google_drive import FOLDER_ID, google

    (fork, remote), (variables, _) = pushed, environment
    with google(remote, tmp_path) as server:
        auth = {"workload_identity_provider", "service_account", "token_format", "access_token_scopes",
                "create_credentials_file"}  # fmt: skip
        on_drive = {"DVC_REMOTE_URL": f"gdrive://{FOLDER_ID}"}
        options = {
            "a folder": {"variables": {"DVC_REMOTE_URL": str(remote)}},
            "Google Drive with a key": {
                "variables": on_drive, "secrets": {"GDRIVE_CREDENTIALS_DATA": server.json_key},
            },
            "Google Drive without a key": {
                "variables": on_drive | {"GCP_WORKLOAD_IDENTITY_PROVIDER": "projects/1/.../cola"},
                "actions": {"google-github-actions/auth": (lambda *_: {"access_token": server.free_token}, auth)},
            },
        }[way]  # fmt: skip
        run = fork.run(WEEK_6, fork.push(), environment=variables | server.environment, **options)
    assert not run.failures(), run.failures()
    (step,) = (step for step in run.jobs["model"].steps if step.name == "Get the model")
    assert "Running stage" not in step.output
    assert bool(server.requests) == (way != "a folder")
    served = fork.folder / f"run-{fork.runs}" / "artifacts" / "week-6-model" / "models" / "model.onnx"
    assert served.read_bytes() == (fork.repository / "week_6_github_actions/models/model.onnx").read_bytes()
    said = "".join(job.output + job.summary for job in run.jobs.values())
    assert not [secret for secret in (*server.tokens, "PRIVATE KEY") if secret in said]


@pytest.mark.parametrize("workflow", [BASIC, *WORKFLOWS], ids=lambda path: path.stem)
def test_a_workflow_can_be_started_by_hand_with_nothing_filled_in(workflow):
    assert "workflow_dispatch" in load(workflow)["on"]
    assert not [name for name, option in inputs_of(load(workflow)).items() if option.get("required")]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_for_its_week_and_for_no_other(workflow, forks):
    document, event = load(workflow), forks(workflow).push()
    assert triggers(document, event)
    event.changed = ["week_0_project_setup/train.py", "README.md"]
    assert not triggers(document, event)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("github.event_name == 'push'", True),
        ("github.event_name != 'PUSH'", False),  # strings are compared without regard to case
        ("vars.ROLE != ''", False),
        ("vars.REGION != '' && vars.ROLE == ''", True),
        ("!(vars.ROLE)", True),
        ("vars.ROLE || 'none'", "none"),
        ("vars.ROLE && 'a' || 'b'", "b"),
        ("github.event.pull_request.number == 7", True),
        ("github.event.nothing.at.all", None),
        ("startsWith('refs/heads/main', 'refs/heads/')", True),
        ("'it''s'", "it's"),
        ("'1' == 1", True),
        ("null == 0", True),
        ("true == 'x'", False),
    ],
)
def test_expressions_mean_what_github_says(text, expected):
    contexts = {"github": Fixed(event_name="push", event={"pull_request": {"number": 7.0}}),
                "vars": {"REGION": "us-east-1"}}  # fmt: skip
    functions = {"startsWith": str.startswith}
    assert Expression(text, contexts, functions).value() == expected


@pytest.mark.parametrize(
    "text", ["secrets.KEY", "github.evnt_name", "fromJSON('1')", "vars.A =~ 'b'", "'a' 'b'", "(vars.A", "vars['A']"]
)
def test_what_the_runner_does_not_know_is_refused(text):
    with pytest.raises(UnsupportedError):
        Expression(text, {"github": Fixed(event_name="push"), "vars": {}}, {}).value()


def test_the_last_pattern_that_fits_a_path_decides():
    patterns = ["week_6/**", "!week_6/README.md", "*.toml"]
    assert selects(patterns, "week_6/tests/test_a.py")
    assert selects(patterns, "pyproject.toml")
    assert not selects(patterns, "week_6/README.md")
    assert not selects(patterns, "a/pyproject.toml")
