"""The monitor and the reading of logs: its findings and exit codes, late labels, and logs in every kind of disorder."""

import gzip
import hmac
import json
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import monitor
from errors import InputError
from events import EventLog, Recorder
from inference_onnx import ColaONNXPredictor
from logbook import read_log
from reference import make_reference
from test_events import SCHEMA

SENTENCES = [f"{subject} {verb} {'very ' * (n % 4)}{thing}." for n, (subject, verb, thing) in enumerate(
    (s, v, t) for s in ("The boy", "A teacher", "Mary", "She", "The old king") for v in ("sees", "like", "has lost")
    for t in ("the dog", "a trumpet", "him", "books", "the very old bench", "nothing", "us all"))]  # fmt: skip


@pytest.fixture(scope="module")
def model(exported):
    return exported / "model.fp32.onnx"


@pytest.fixture(scope="module")
def reference(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "reference.json"
    path.write_text(json.dumps(make_reference(model, SENTENCES)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lines(model, tmp_path_factory) -> dict[str, list[dict]]:
    """Events of 300 sentences of the reference and of 150 others, with the sentences in them."""
    rng, made = np.random.default_rng(0), {}
    usual, other = rng.choice(SENTENCES, 300).tolist(), [f"lol {s.lower()} zyzzyva!!! {s[0]}" for s in SENTENCES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLA_PRIVACY", "plain")
        for name, sentences in (("usual", usual), ("other", other)):
            path = tmp_path_factory.mktemp("log") / "log.jsonl"
            Recorder(ColaONNXPredictor(model), EventLog(str(path))).predict(sentences)
            made[name] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return made


def written(path, events: list[dict], hours_ago: float = 100) -> None:
    """Append events to a log as if they had come one a minute."""
    start = datetime.now(UTC) - timedelta(hours=hours_ago)
    with path.open("a", encoding="utf-8") as file:
        for number, event in enumerate(events):
            moment = (start + timedelta(minutes=number)).isoformat(timespec="milliseconds")[:-6] + "Z"
            file.write(json.dumps(event | {"@timestamp": moment}) + "\n")


@pytest.fixture
def log(tmp_path):
    return tmp_path / "predictions.jsonl"


@pytest.fixture
def watch(cli, reference, tmp_path):
    """Run monitor.py; exit code, output, errors."""
    output = tmp_path / "drift.events"
    return lambda *arguments: cli(
        monitor.main, "--reference", reference, "--window", 100, "--output", output, *arguments
    )


def test_usual_traffic_raises_no_alarm(watch, log, lines):
    written(log, lines["usual"])
    code, out, err = watch(log)
    assert (code, out.count("like the reference"), err) == (0, 3, "")


def test_drift_is_told_with_what_since_when_and_examples(watch, log, lines, tmp_path):
    written(log, lines["usual"], hours_ago=50)
    written(log, lines["other"], hours_ago=20)
    since = datetime.now(UTC) - timedelta(hours=20)
    code, out, _ = watch(log)
    assert code == 1
    assert f"DRIFT since {since:%Y-%m-%d %H}" in out
    assert re.search(r"length: distance 0\.\d+, p 0\.\d+", out)
    assert out.split("the strangest:")[1].count("zyzzyva") == 3
    found = [json.loads(line) for line in (tmp_path / "drift.events").read_text(encoding="utf-8").splitlines()]
    assert len(found) == 4 * 5
    for event in found:
        SCHEMA.validate(event)
    before = (tmp_path / "drift.events").read_text(encoding="utf-8")
    watch(log)
    assert (tmp_path / "drift.events").read_text(encoding="utf-8") == before  # the same ids: replaced in the index


def test_windows_of_one_moment_have_different_ids(watch, log, lines, tmp_path):
    log.write_text("".join(json.dumps(event) + "\n" for event in lines["usual"]), encoding="utf-8")  # of one batch
    watch(log)
    found = (tmp_path / "drift.events").read_text(encoding="utf-8").splitlines()
    assert len({json.loads(line)["event"]["id"] for line in found}) == len(found) == 3 * 5


def test_findings_of_earlier_runs_are_kept(watch, log, lines, tmp_path):
    written(log, lines["usual"], hours_ago=50)
    watch(log)
    before = (tmp_path / "drift.events").read_text(encoding="utf-8")
    log.unlink()
    written(log, lines["other"], hours_ago=20)
    watch(log)
    after = (tmp_path / "drift.events").read_text(encoding="utf-8")
    assert (after.startswith(before), len(after.splitlines())) == (True, 3 * 5 + 5)


def test_findings_go_beside_the_log(cli, reference, log, lines, tmp_path):
    written(log, lines["usual"])
    for place in (log, tmp_path):
        assert cli(monitor.main, place, "--reference", reference)[0] == 0
        (tmp_path / "drift.jsonl").unlink()


def test_a_drift_that_has_passed_is_shown_and_raises_no_alarm(watch, log, lines):
    written(log, lines["other"], hours_ago=50)
    written(log, lines["usual"][:200], hours_ago=20)
    code, out, _ = watch(log)
    assert (code, out.count("drifted"), out.count("like the reference")) == (0, 1, 2)
    assert "DRIFT" not in out


def test_late_labels_give_mcc_with_its_interval(watch, log, lines, tmp_path):
    written(log, lines["usual"])
    answers = pd.DataFrame([(e["event"]["id"], e["cola"]["sentence"], e["cola"]["acceptable"]) for e in lines["usual"]],
                           columns=["id", "sentence", "label"])  # fmt: skip
    right = answers[["id", "label"]]
    right.to_csv(tmp_path / "labels.csv", index=False)
    assert watch(log, "--labels", tmp_path / "labels.csv")[1].count("MCC 1.000 (1.000 to 1.000) of 100 labels") == 3
    wrong = answers[["sentence", "label"]].drop_duplicates().assign(label=lambda rows: 1 - rows["label"])
    wrong.to_csv(tmp_path / "labels.csv", index=False)
    assert watch(log, "--labels", tmp_path / "labels.csv")[1].count("MCC -1.000") == 3


def test_labels_find_hashed_sentences(watch, log, lines, tmp_path, monkeypatch):
    key = "0123456789abcdef" * 2
    monkeypatch.setenv("COLA_HASH_KEY", key)
    hidden = []
    for event in lines["usual"]:
        cola = dict(event["cola"])
        sentence = cola.pop("sentence")
        digest = hmac.new(key.encode(), sentence.encode(), "sha256").hexdigest()
        hidden.append(event | {"cola": cola | {"privacy": "hashed", "sentence_hash": digest}})
    written(log, hidden)
    pairs = {e["cola"]["sentence"]: e["cola"]["acceptable"] for e in lines["usual"]}
    pd.Series(pairs, name="label").rename_axis("sentence").to_csv(tmp_path / "labels.csv")
    assert watch(log, "--labels", tmp_path / "labels.csv")[1].count("MCC 1.000") == 3


def test_labels_of_one_class_give_no_mcc(watch, log, lines, tmp_path):
    written(log, lines["usual"])
    labels = pd.DataFrame({"id": [e["event"]["id"] for e in lines["usual"]], "label": 1})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    code, out, _ = watch(log, "--labels", tmp_path / "labels.csv")
    assert (code, out.count("100 labels of one class only: no MCC")) == (0, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "labels.csv not found: a CSV with the columns id (or sentence) and label"),
        ("", "cannot be read as CSV"),
        ("sentence\nHe runs.\n", "needs a column"),
        ("id,label\n1,yes\n", "needs a column"),
        ("id,label\nffff,1\n", "none of its 1 labels"),
    ],
)
def test_labels_that_are_no_labels(watch, log, lines, tmp_path, content, message):
    written(log, lines["usual"])
    if content is not None:
        (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    code, _, err = watch(log, "--labels", tmp_path / "labels.csv")
    assert (code, message in err) == (2, True)


def test_labels_at_odds_or_of_nothing_are_named(watch, log, lines, tmp_path):
    written(log, lines["usual"])
    ids = [e["event"]["id"] for e in lines["usual"]]
    rows = [(ids[0], 0), (ids[0], 1), ("f" * 32, 1), *((each, 1) for each in ids[1:50])]
    pd.DataFrame(rows, columns=["id", "label"]).to_csv(tmp_path / "labels.csv", index=False)
    code, _, err = watch(log, "--labels", tmp_path / "labels.csv")
    assert (code, "1 labelled both 0 and 1" in err, "1 of 51 belong to no prediction" in err) == (0, True, True)


def test_a_reference_of_another_model(watch, log, lines):
    other = [e | {"cola": e["cola"] | {"model": {"sha256": "f" * 64}}} for e in lines["other"]]
    written(log, lines["usual"], hours_ago=50)
    written(log, other, hours_ago=60)
    code, _, err = watch(log)
    assert (code, f"{len(other)} predictions of other models: not tested" in err) == (0, True)
    written(log, [e | {"event": e["event"] | {"id": e["event"]["id"][::-1]}} for e in other], hours_ago=20)
    code, _, err = watch(log)
    assert (code, "the newest predictions come from model ffffffff" in err) == (2, True)


def test_nothing_to_test(watch, log, lines):
    log.write_text("")
    assert watch(log)[::2] == (2, "error: no predictions in the log: there is nothing to test\n")
    written(log, lines["usual"][:99])
    assert watch(log)[::2] == (2, "error: only 99 predictions of this model: wait for 100\n")
    assert "no log in" in watch(log.with_name("no.jsonl"))[2]
    assert "not found" in watch(log, "--reference", "no.json")[2]
    assert "--window must be 100 or more" in watch(log, "--window", "10")[2]


def test_notes_are_told_where_nothing_is_left(watch, log):
    log.write_text("START RequestId: 1\n")
    note = "note: 1 line not events of this project, or torn: left out\n"
    assert watch(log)[::2] == (2, f"{note}error: no predictions in the log: there is nothing to test\n")


def test_a_window_that_is_not_full_is_named(watch, log, lines):
    written(log, lines["usual"][:250])
    code, out, err = watch(log)
    assert (code, out.count("like"), "the newest 50 predictions do not fill a window of 100" in err) == (0, 2, True)


def test_predictions_of_one_class_only(watch, log, lines):
    one = [e | {"cola": e["cola"] | {"acceptable": 1, "label": "acceptable", "score": 0.9}} for e in lines["usual"]]
    written(log, one)
    code, out, _ = watch(log)
    assert (code, "acceptable: distance" in out) == (1, True)


def test_a_log_in_disorder_is_read_as_far_as_it_can_be(log, lines, tmp_path):
    written(log, lines["usual"])
    good = log.read_text(encoding="utf-8").splitlines()
    ahead = json.loads(good[0]) | {"@timestamp": f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M:%S.000Z}"}
    long_ago = json.loads(good[1]) | {"@timestamp": "1970-01-01T00:00:00.000Z"}
    newer = json.loads(good[2]) | {"cola": json.loads(good[2])["cola"] | {"schema": 2}}
    foreign = ["START RequestId: 1", '{"message": "no"}', "[1, 2]", "null", "7", '{"cola": 3, "event": {"id": 5}}']
    foreign += [json.dumps(newer), good[3][:200]]
    log.write_bytes(
        "\n".join([*good[10:100][::-1], *good[50:60], "", json.dumps(ahead), json.dumps(long_ago), *foreign]).encode()
        + b'\n\xff\xfe\n{"event": "caf\xe9"}\n' + b"x" * 3_000_000 + b"\n"
    )  # fmt: skip
    rotated = tmp_path / "predictions.jsonl.1.gz"
    rotated.write_bytes(gzip.compress("\n".join(good[100:200]).encode()))
    torn = tmp_path / "predictions.jsonl.2.gz"
    torn.write_bytes(gzip.compress("\n".join(good[200:300]).encode())[:-20])
    (tmp_path / "empty.jsonl").touch()
    database, oddities = read_log([tmp_path])
    ids = {row[0] for row in database.execute("SELECT event.id FROM events").fetchall()}
    expected = {json.loads(line)["event"]["id"] for line in good[10:200]}
    assert expected <= ids
    assert len(ids) == database.execute("SELECT count(*) FROM events").fetchone()[0]
    told = "\n".join(oddities)
    assert re.search(r"\.2\.gz is torn or not gzip", told)
    assert re.search(r"1[12] lines not events of this project, or torn", told)
    assert "10 lines there twice: counted once" in told
    assert "2 lines of an impossible time: left out" in told
    times = database.execute('SELECT min("@timestamp"), max("@timestamp") FROM events').fetchone()
    assert times[0] > datetime(2020, 1, 1) and times[1] <= datetime.now(UTC).replace(tzinfo=None)  # noqa: PT018


def test_a_log_that_is_not_there():
    with pytest.raises(InputError, match="set COLA_LOG=logs/predictions.jsonl"):
        read_log([monitor.LOGS / "nowhere"])
