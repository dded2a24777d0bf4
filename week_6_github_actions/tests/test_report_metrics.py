"""The table of changed metrics, from differences as DVC gives them, and from a repository with real ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import WEEK
from errors import InputError
from report_metrics import table

FILE = "reports/evaluate/metrics.json"


def rows(report: str) -> list[list[str]]:
    """The cells of every row but the heads."""
    lines = [line for line in report.splitlines() if line.startswith("| ") and not line.startswith("| metric")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_only_what_changed_is_shown_and_the_mcc_of_the_model_first():
    metrics = {"model.accuracy": {"old": 0.5, "new": 0.25}, "model.mcc": {"old": 0.125, "new": 0.5},
               "majority.mcc": {"old": 0.0, "new": 0.0}, "sentences": {"old": 1000, "new": 912}}  # fmt: skip
    report = table({FILE: metrics}, "HEAD^")
    assert rows(report) == [
        ["model.mcc", "0.1250", "0.5000", "+0.3750"],
        ["model.accuracy", "0.5000", "0.2500", "-0.2500"],
        ["sentences", "1,000", "912", "-88"],
    ]
    assert report.index("model.accuracy") < report.index("<details>") < report.index("sentences")
    assert "1 others are the same" in report


def test_a_base_without_metrics_leads_to_this_runs_own():
    report = table({FILE: {"model.mcc": {"old": None, "new": 0.5}}}, "HEAD^")
    assert rows(report) == [["model.mcc", "-", "0.5000", ""]]
    assert "has no metrics to compare with" in report


def test_words_have_no_difference_and_a_bar_does_not_end_their_cell():
    report = table({FILE: {"served": {"old": "fp32", "new": "int8|"}}}, "HEAD")
    assert rows(report) == [["served", "fp32", "int8\\|", ""]]


def test_without_changes_there_is_no_table():
    report = table({FILE: {"model.mcc": {"old": 0.5, "new": 0.5}}}, "HEAD")
    assert "All 1 are the same." in report
    assert not rows(report)


def test_what_only_the_base_has_is_shown_as_gone_with_the_cure():
    report = table({FILE: {"model.mcc": {"old": 0.5, "new": None}}, "b": {"x": {"old": 1, "new": 1}}}, "HEAD")
    assert rows(report) == [["model.mcc", "0.5000", "-", "gone"]]
    assert f"Gone from `{FILE}`" in report
    assert "dvc repro" in report


@pytest.mark.parametrize("diff", [{}, {FILE: {"model.mcc": {"old": 0.5, "new": None}}}])
def test_without_metrics_the_cure_is_said(diff):
    with pytest.raises(InputError, match="dvc repro"):
        table(diff, "HEAD")


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """Two commits, whose MCC is 0.25 and 0.5, in a folder of a larger repository, as in the course."""
    for name in [n for n in os.environ if n.startswith(("DVC_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Reader")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "reader@example.com")
    week = tmp_path / "course" / "week"
    week.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "course", check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--subdir"], cwd=week, check=True)
    (week / "dvc.yaml").write_text("metrics: [metrics.json]\n")
    for mcc in (0.25, 0.5):
        (week / "metrics.json").write_text(json.dumps({"model": {"mcc": mcc}}))
        subprocess.run(["git", "add", "."], cwd=week, check=True)
        subprocess.run(["git", "commit", "-qm", "metrics"], cwd=week, check=True)
    return week


def report(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, WEEK / "report_metrics.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_metrics_of_a_commit_are_compared_with_those_on_disk(repository):
    (repository / "metrics.json").write_text(json.dumps({"model": {"mcc": 1}}))
    assert rows(report(repository).stdout) == [["model.mcc", "0.5000", "1", "+0.5000"]]
    assert rows(report(repository, "HEAD^").stdout) == [["model.mcc", "0.2500", "1", "+0.7500"]]


def test_the_first_commit_of_all_is_compared_with_itself(repository):
    subprocess.run(["git", "checkout", "-q", "HEAD^"], cwd=repository, check=True)
    done = report(repository, "HEAD^")
    assert (done.returncode, "All 1 are the same." in done.stdout) == (0, True)


def test_a_commit_that_git_does_not_know_is_an_error_with_the_cure(repository):
    done = report(repository, "v9")
    assert done.returncode == 2
    assert "git knows no commit v9: is it spelled right" in done.stderr
    assert "fetch-depth" in done.stderr
