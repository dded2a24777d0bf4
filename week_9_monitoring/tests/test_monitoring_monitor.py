"""The monitor: its findings and exit codes, its events, and labels that come in late. The predictions are made up."""

import csv
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from monitoring import monitor
from monitoring.mcc import bootstrap, mcc
from monitoring.prediction_log import event, hash_of
from test_monitoring_drift import traffic
from test_monitoring_log import KEY, SCHEMA

MODEL, START = "a" * 64, datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


def add(log, rows: pd.DataFrame, model: str = MODEL, **fields) -> None:
    """Append predictions, one a minute; `fields` are columns of more fields."""
    earlier = len(log.read_text().splitlines()) if log.exists() else 0
    with log.open("a") as file:
        for number, row in enumerate(rows.to_dict("records")):
            row |= {"acceptable": int(row["score"] >= 0.5), "model": {"sha256": model}}
            row |= {name: column[number] for name, column in fields.items()}
            made = event("judge", "success", row, START + timedelta(minutes=earlier + number))
            made["event"]["id"] = f"{earlier + number:032x}"
            file.write(json.dumps(made) + "\n")


@pytest.fixture
def watch(log, tmp_path, monkeypatch, capsys):
    """Run the monitor: its exit code, output and errors."""
    rng = np.random.default_rng(0)
    traffic(rng, 400).assign(model=MODEL).to_json(tmp_path / "reference.jsonl", orient="records", lines=True)

    def run(*options) -> tuple:
        command = ["monitor", log, "--reference", tmp_path / "reference.jsonl", "--window", 100, *options]
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        try:
            code = monitor.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


USUAL = traffic(np.random.default_rng(1), 300)
OTHER = traffic(np.random.default_rng(2), 100, longer=8)


def test_drift_is_told_with_what_since_when_and_examples(watch, log):
    add(log, USUAL)
    code, out, err = watch()
    assert (code, out.count("like the reference"), err) == (0, 3, "")
    add(log, OTHER, sentence=[f"sentence {number}" for number in range(100)])
    code, out, _ = watch()
    assert (code, out.count("like the reference")) == (1, 3)
    assert "DRIFT since 2026-01-01 05:00 UTC\n  length: distance 0." in out
    assert out.split("the strangest:")[1].count("sentence ") == 3


def test_the_newest_predictions_are_tested(watch, log):
    add(log, USUAL[:150])
    add(log, OTHER[:99])
    assert watch()[0] == 1


def test_a_drift_that_has_passed_raises_no_alarm(watch, log):
    add(log, OTHER)
    add(log, USUAL)
    code, out, _ = watch()
    assert (code, out.count("drifted"), "DRIFT" in out) == (0, 1, False)


def test_findings_are_events_and_those_of_earlier_runs_are_kept(watch, log):
    findings = log.with_name("drift.jsonl")
    for number, rows in enumerate((USUAL, OTHER), start=1):
        add(log, rows)
        watch("--labels", labels(log, "id", log.parent / "labels.csv"))
        found = [json.loads(line) for line in findings.read_text().splitlines()]
        for each in found:
            SCHEMA.validate(each)
        assert len(found) == (5 + 1) * (2 + number)
    assert [each["@timestamp"] for each in found][-1] == "2026-01-01T06:39:00.000Z"


def labels(log, by: str, path, flip=False):
    """A file of labels for all predictions in a log, as the model answered, or the opposite."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    key = [row["event"]["id"] if by == "id" else row["cola"]["sentence"] for row in rows]
    pd.DataFrame({by: key, "label": [abs(flip - row["cola"]["acceptable"]) for row in rows]}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("by", ["id", "sentence", "hash"])
def test_labels_find_their_predictions_by_id_by_sentence_or_by_hash(watch, log, tmp_path, monkeypatch, by):
    monkeypatch.setenv("COLA_HASH_KEY", KEY)
    add(log, USUAL, sentence=[f"sentence {number}" for number in range(300)])
    file = labels(log, "id" if by == "id" else "sentence", tmp_path / "labels.csv", flip=True)
    if by == "sentence":  # beside ids of another tool
        header, *lines = file.read_text().splitlines(keepends=True)
        file.write_text(f"id,{header}" + "".join(f"{number},{text}" for number, text in enumerate(lines)))
    if by == "hash":
        log.unlink()
        add(log, USUAL, sentence_hash=[hash_of(f"sentence {number}") for number in range(300)])
    _, out, err = watch("--labels", file)
    assert out.count("MCC -1.000 (-1.000 to -1.000) of 100 labels") == 3
    assert f"300 of 300 predictions have a label by {by}" in err


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("".join(f"{number:032x},1\n" for number in range(300)), 300),
        ("".join(f"{number:032x},{number % 2}\n" for number in range(99)), 99),
        (f"{0:032x},1\n{0:032x},0\n", 0),
    ],
    ids=["one class", "too few", "at odds"],
)
def test_labels_that_say_too_little_give_no_mcc(watch, log, tmp_path, text, used):
    add(log, USUAL)
    (tmp_path / "labels.csv").write_text("id,label\n" + text)
    code, out, err = watch("--labels", tmp_path / "labels.csv")
    assert (code, "MCC" in out, f"{used} of 300 predictions have a label by id" in err) == (0, False, True)


def test_predictions_of_another_model_are_not_tested(watch, log):
    add(log, OTHER, model="b" * 64)
    add(log, USUAL)
    code, out, _ = watch()
    assert (code, out.count("like the reference")) == (0, 3)
    add(log, OTHER, model="b" * 64)
    code, _, err = watch()
    assert (code, "the newest predictions are of another model" in err) == (2, True)


def test_nothing_to_test_is_not_an_alarm(watch, log):
    add(log, USUAL[:99])
    assert watch()[0] == 2
    add(log, USUAL)
    assert watch("--window", 99)[0] == 2


def test_trouble_is_not_an_alarm():
    command = [sys.executable, "-m", "monitoring.monitor", "none.jsonl", "--reference", "none.jsonl"]
    assert subprocess.run(command).returncode == 2  # Python's own exit code would be 1


@pytest.mark.parametrize(
    "text",
    [
        'sentence,label\n"Hello he said.,1\n"Bye he said.,1\n',
        "sentence,label\nHe runs.,yes\n",
        "text,label\nHe runs.,1\n",
    ],
    ids=["a stray quote", "no label", "no sentence"],
)
def test_labels_that_cannot_be_read_are_refused(watch, log, tmp_path, text):
    add(log, USUAL)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises((csv.Error, ValueError)):
        watch("--labels", tmp_path / "labels.csv")


def test_hashed_sentences_find_their_labels_only_with_the_key(watch, log, tmp_path, monkeypatch):
    add(log, USUAL, sentence_hash=["f" * 64] * 300)
    (tmp_path / "labels.csv").write_text("sentence,label\nHe runs.,1\n")
    monkeypatch.setenv("COLA_HASH_KEY", "")
    with pytest.raises(ValueError, match="COLA_HASH_KEY"):
        watch("--labels", tmp_path / "labels.csv")


def test_the_interval_of_mcc_holds_the_truth_as_often_as_it_says():
    rng, inside = np.random.default_rng(6), 0
    for _ in range(100):
        labels = rng.integers(0, 2, 300)
        _, low, high = bootstrap(mcc, labels, np.where(rng.random(300) < 0.8, labels, 1 - labels))
        inside += low <= 0.6 <= high  # of balanced labels, 80 % right
    assert 88 <= inside <= 100
    assert bootstrap(mcc, labels, np.ones(300, int)) == (0, 0, 0)  # one answer to everything
