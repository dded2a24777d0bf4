"""The comment under a pull request, against a stand-in of GitHub's API."""

import pytest

import comment
from github_api import github


@pytest.fixture
def server(monkeypatch):
    with github("a-token") as server:
        for name, value in {"GITHUB_API_URL": server.url, "GITHUB_REPOSITORY": "reader/mlops", "PULL_REQUEST": "7",
                            "GITHUB_TOKEN": "a-token", "HEAD_REPOSITORY": "reader/mlops"}.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        yield server


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "metrics.md"
    path.write_text("first table", encoding="utf-8")
    return path


def test_the_second_run_rewrites_the_comment_of_the_first_wherever_it_stands(server, report, cli):
    for _ in range(5):  # more than a page
        server.add(7, "A word.", "User")
    first = cli(comment.main, report)
    server.add(7, "Another word.", "User")
    report.write_text("second table", encoding="utf-8")
    assert cli(comment.main, report) == first
    (ours,) = (c for c in server.comments if "table" in c["body"])
    assert ours["body"].endswith("second table")
    assert first == (0, ours["html_url"] + "\n", "")


def test_comments_of_others_and_of_other_pull_requests_stay_as_they_are(server, report, cli):
    others = ((7, f"{comment.MARK}\nquoted by a person", "User"), (8, f"{comment.MARK}\nof another", "Bot"))
    before = [server.add(*other) for other in others]
    kept = [dict(each) for each in before]
    assert cli(comment.main, report)[0] == 0
    assert server.comments[:2] == kept
    assert server.comments[2]["number"] == 7


def test_a_pull_request_of_a_fork_is_skipped_with_a_remark_and_without_a_call(server, report, cli, monkeypatch):
    monkeypatch.setenv("HEAD_REPOSITORY", "stranger/mlops")
    code, _, remark = cli(comment.main, report)
    assert (code, server.comments) == (0, [])
    assert "No comment" in remark


def test_a_token_that_may_not_write_is_skipped_with_a_warning(server, report, cli):
    server.read_only = True
    code, _, remark = cli(comment.main, report)
    assert (code, server.comments) == (0, [])
    assert remark.startswith("warning: No comment")
    assert "pull-requests: write" in remark


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GITHUB_TOKEN", "another", "401"),
        ("PULL_REQUEST", "seven", "404"),
        ("PULL_REQUEST", "", "PULL_REQUEST is not set"),
        ("PULL_REQUEST", "7 8", "mend GITHUB_API_URL (https://...), PULL_REQUEST"),
        ("GITHUB_TOKEN", "a-token\nand more", "a line break in GITHUB_TOKEN"),
        ("GITHUB_API_URL", "api.github.com", "GITHUB_API_URL (https://...)"),
        ("GITHUB_API_URL", "http://127.0.0.1:9", "no answer"),
    ],
)
def test_what_is_wrong_is_said_without_the_token(server, report, cli, monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    code, _, error = cli(comment.main, report)
    assert code == 2
    assert message in error
    assert "a-token" not in error


def test_a_report_in_utf_16_is_named(server, report, cli):
    report.write_text("a table", encoding="utf-16")
    code, _, error = cli(comment.main, report)
    assert code == 2
    assert f"{report} is not UTF-8" in error


def test_a_report_that_is_not_there_is_named_with_the_command_that_makes_it(server, tmp_path, cli):
    code, _, error = cli(comment.main, tmp_path / "none.md")
    assert code == 2
    assert "report_metrics.py" in error
