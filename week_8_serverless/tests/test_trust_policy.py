"""The trust policy: in both forms of the claim `sub`, for tokens that it must let in and tokens that it must not."""

import json
import subprocess

import pytest

import trust_policy
from errors import InputError
from stand_ins import answering
from trust_policy import refusals, repository_of, subject

NAMES = subject("octocat/course", "main")
NUMBERS = subject("octocat/course", "main", (583231, 1296269))


def token(sub: str, **claims) -> dict:
    """The claims of GitHub's documentation, as a job of octocat/course on main has them."""
    return {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": sub,
        "repository": "octocat/course",
        "ref": "refs/heads/main",
    } | claims


def test_the_subject_has_the_form_that_github_documents():
    assert NAMES == "repo:octocat/course:ref:refs/heads/main"
    assert NUMBERS == "repo:octocat@583231/course@1296269:ref:refs/heads/main"


@pytest.mark.parametrize("sub", [NAMES, NUMBERS])
def test_a_job_on_the_branch_is_let_in(sub):
    assert refusals(trust_policy.trust_policy(sub), token(sub)) == []


STRANGERS = {
    "another branch": token("repo:octocat/course:ref:refs/heads/feature", ref="refs/heads/feature"),
    "a branch that begins so": token("repo:octocat/course:ref:refs/heads/main2"),
    "a tag": token("repo:octocat/course:ref:refs/tags/main"),
    "an environment": token("repo:octocat/course:environment:main"),
    "a pull request, of a fork too": token("repo:octocat/course:pull_request", ref="refs/pull/1/merge"),
    "another repository": token("repo:octocat/other:ref:refs/heads/main"),
    "another owner": token("repo:somebody/course:ref:refs/heads/main"),
    "other capitals": token("repo:Octocat/course:ref:refs/heads/main"),
    "another audience": token(NAMES, aud="https://github.com/octocat"),
    "several audiences": token(NAMES, aud=["sts.amazonaws.com", "other"]),
    "another provider": token(NAMES, iss="https://gitlab.com"),
    "a provider whose name begins so": token(NAMES, iss="https://token.actions.githubusercontent.com.example.org"),
    "no subject": {name: value for name, value in token(NAMES).items() if name != "sub"},
    "nothing": {},
}


@pytest.mark.parametrize("claims", STRANGERS.values(), ids=STRANGERS)
def test_others_are_refused(claims):
    assert refusals(trust_policy.trust_policy(NAMES), claims)
    numbered = claims | {"sub": claims.get("sub", "").replace("octocat/course", "octocat@583231/course@1296269")}
    assert refusals(trust_policy.trust_policy(NUMBERS), numbered)


@pytest.mark.parametrize(
    ("wanted", "sub"),
    [
        (NAMES, NUMBERS),
        (NUMBERS, NAMES),
        (NUMBERS, subject("octocat/course", "main", (583231, 7))),  # the name was taken by a new repository
        (NUMBERS, subject("octocat/course", "main", (7, 1296269))),  # or by a new owner
    ],
)
def test_each_form_refuses_the_other_and_other_numbers(wanted, sub):
    (reason,) = refusals(trust_policy.trust_policy(wanted), token(sub))
    assert reason == f"sub is {sub}, not {wanted}"


def test_a_policy_with_a_wildcard_lets_pull_requests_in():
    """So this project's has none."""
    policy = trust_policy.trust_policy(NAMES)
    key = f"{trust_policy.ISSUER}:sub"
    policy["Statement"][0]["Condition"] = {"StringLike": {key: ["repo:octocat/course:*", "repo:octocat/x?"]}}
    assert refusals(policy, STRANGERS["a pull request, of a fork too"]) == []
    assert refusals(policy, STRANGERS["another audience"]) == []  # as it does not ask for one
    assert refusals(policy, STRANGERS["another repository"])
    assert refusals(policy, token("repo:octocat/xy")) == []
    assert refusals(policy, token("repo:octocat/x[y]"))


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny"},
        {"Condition": {"ForAllValues:StringEquals": {"a": "b"}}},
        {"Principal": "*"},
        {"Condition": None},
    ],
)
def test_what_cannot_be_judged_is_not_judged(change):
    policy = trust_policy.trust_policy(NAMES)
    policy["Statement"][0] |= change
    with pytest.raises(InputError):
        refusals(policy, token(NAMES))


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/octocat/course",
        "https://github.com/octocat/course.git",
        "https://x:token@github.com/octocat/course.git",
        "https://github.com/octocat/course/",
        "git@github.com:octocat/course.git",
        "ssh://git@github.com/octocat/course.git",
    ],
)
def test_the_repository_is_read_from_the_remote(remote):
    assert repository_of(remote) == "octocat/course"


@pytest.mark.parametrize(
    "remote", ["/srv/course", "https://gitlab.com/octocat/course", "https://github.com.evil.org/a/b"]
)
def test_a_remote_elsewhere_is_refused_without_showing_it(remote):
    with pytest.raises(InputError, match="not a repository on github.com"):
        repository_of(remote.replace("https://", "https://user:password@"))


@pytest.fixture
def fork(tmp_path, monkeypatch):
    """A clone of a fork, as the folder to work in."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def test_the_policy_is_printed_for_the_fork_one_works_in(fork, cli, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    subprocess.run(["git", "remote", "add", "origin", "git@github.com:octocat/course.git"], check=True)
    code, output, hint = cli(trust_policy.main)
    assert (code, json.loads(output)) == (0, trust_policy.trust_policy(NAMES))
    assert hint == (
        "note: a repository made, renamed or moved since 15 July 2026 has numbers in its token: add --lookup, or "
        "--ids OWNER REPOSITORY\n"
    )
    code, output, hint = cli(trust_policy.main, "--ids", 583231, 1296269, "--account", "111122223333")
    assert (code, json.loads(output), hint) == (0, trust_policy.trust_policy(NUMBERS, "111122223333"), "")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert cli(trust_policy.main)[2] == ""


def test_the_numbers_are_looked_up(cli, monkeypatch):
    found = json.dumps({"id": 1296269, "owner": {"id": 583231}}).encode()

    def answer(method, path, headers):
        return (200, {}, found) if path == "/repos/octocat/course" else (404, {}, b"{}")

    with answering(answer) as address:
        monkeypatch.setattr(trust_policy, "API", address)
        code, output, _ = cli(trust_policy.main, "--repository", "octocat/course", "--lookup")
        assert (code, json.loads(output)) == (0, trust_policy.trust_policy(NUMBERS))
        code, _, errors = cli(trust_policy.main, "--repository", "octocat/private", "--lookup")
    assert code == 2
    assert "/repos/octocat/private: HTTP Error 404: Not Found: give the numbers, with --ids OWNER REPOSITORY" in errors


def test_a_token_is_judged(cli, tmp_path):
    claims, policy = tmp_path / "claims.json", tmp_path / "policy.json"
    policy.write_text(json.dumps(trust_policy.trust_policy(NUMBERS)))
    claims.write_text(json.dumps(token(NUMBERS)))
    assert cli(trust_policy.main, "--policy", policy, "--token", claims) == (0, "let in\n", "")
    claims.write_text(json.dumps(token(NAMES, aud="other")))
    code, output, _ = cli(trust_policy.main, "--policy", policy, "--token", claims)
    assert code == 1
    assert output == f"refused: aud is other, not sts.amazonaws.com\nrefused: sub is {NAMES}, not {NUMBERS}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "git knows no remote origin here: give --repository OWNER/NAME"),
        (["--repository", "course"], "course: write the repository as OWNER/NAME"),
        (["--repository", "octocat/*"], "write the repository as OWNER/NAME"),
        (["--repository", "octocat/course", "--branch", "*"], "*: name one branch, without a wildcard"),
        (["--repository", "octocat/course", "--token", "no-such-file"], "no-such-file: No such file or directory"),
        (["--repository", "octocat/course", "--token", "text"], "text is not JSON"),
        (["--repository", "octocat/course", "--token", "list"], "list: give one JSON object"),
    ],
)
def test_a_mistake_is_named_with_its_cure(fork, cli, arguments, message):
    (fork / "text").write_text("eyJhbGciOi")
    (fork / "list").write_text("[]")
    code, output, errors = cli(trust_policy.main, *arguments)
    assert (code, output) == (2, "")
    assert message in errors
