"""The log of predictions: one event a sentence, as event.schema.json says; what it does not say; and how it is read."""

import gzip
import hmac
import json
from pathlib import Path

import jsonschema
import pytest
from fastapi.testclient import TestClient

from app import app
from inference_onnx import ColaONNXPredictor
from monitoring import prediction_log
from monitoring.prediction_log import Recorder
from monitoring.read_log import read_log

CONTRACT = Path(prediction_log.__file__).with_name("event.schema.json")
SCHEMA = jsonschema.Draft202012Validator(json.loads(CONTRACT.read_text()))
SENTENCE, KEY = 'The boy said "100 %s"\\ and 🐻.', "0123456789abcdef" * 2


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    for name in ("COLA_PRIVACY", "COLA_HASH_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLA_LOG", str(tmp_path / "log.jsonl"))
    return tmp_path / "log.jsonl"


@pytest.fixture(scope="module")
def predictor(model_onnx) -> ColaONNXPredictor:
    return ColaONNXPredictor(model_onnx)


def events(log: Path) -> list[dict]:
    """The events of a log, each of which must be as the schema says."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    for each in found:
        SCHEMA.validate(each)
    return found


def test_the_service_logs_each_judgement_each_refusal_and_each_failure(model_onnx, log, monkeypatch):
    monkeypatch.setenv("MODEL", str(model_onnx))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/health").json()["precision"]
        client.post("/predict", json={"sentences": ["He runs.", "He run.", "Zyzzyva qwrtk!"]})
        client.get("/predict", params={"text": " "})
        client.post("/predict", json={"sentences": []})
        client.post("/predict", content=b"{", headers={"Content-Type": "application/json"})
        client.post("/predict", content=b"\xff", headers={"Content-Type": "application/json"})
        client.post("/predict", content=b"x" * 1_000_001, headers={"Content-Type": "application/json"})
        monkeypatch.setattr(ColaONNXPredictor, "logits", lambda *_: 1 / 0)
        assert client.get("/predict", params={"text": "He runs."}).status_code == 500
    found = events(log)
    assert [each["event"]["action"] for each in found] == ["judge"] * 3 + ["refuse"] * 5 + ["judge"]
    assert [each["http"]["response"]["status_code"] for each in found[3:8]] == [422, 422, 422, 400, 413]
    assert [each["error"]["type"] for each in found[3:5]] == ["value_error", "too_short"]
    assert found[-1]["error"]["type"] == "ZeroDivisionError"
    assert len({each["event"]["id"] for each in found}) == len(found)


def test_a_judgement_says_what_was_measured(predictor, log):
    sentences = ["He runs.", "The zyzzyva is 🐻.", "very " * 200 + "old"]
    judged = Recorder(predictor).predict(sentences)
    assert judged == predictor.predict(sentences)
    for each, judgement, encoding in zip(events(log), judged, predictor.tokenizer.encode_batch(sentences), strict=True):
        cola = each["cola"]
        assert (cola["label"], cola["score"]) == (judgement["label"], judgement["score"])
        assert cola["acceptable"] == (judgement["label"] == "acceptable")
        assert sum(encoding.attention_mask) == cola["tokens"] == sum(cola["vocabulary"])
        assert cola["model"]["sha256"] == predictor.facts["sha256"]
    assert [each["cola"]["truncated"] for each in events(log)] == [False, False, True]
    assert [each["cola"]["unknown_tokens"] > 0 for each in events(log)] == [False, True, False]
    assert ["duration" in each["event"] for each in events(log)] == [True, False, False]  # a call is one request


@pytest.mark.parametrize("privacy", ["none", "plain", "hashed"])
def test_a_sentence_is_in_the_log_only_where_it_was_asked_for(predictor, log, monkeypatch, privacy):
    monkeypatch.setenv("COLA_PRIVACY", privacy)
    monkeypatch.setenv("COLA_HASH_KEY", KEY)
    Recorder(predictor).predict([SENTENCE])
    cola = events(log)[0]["cola"]
    assert cola.get("sentence") == (SENTENCE if privacy == "plain" else None)
    digest = hmac.new(KEY.encode(), SENTENCE.encode(), "sha256").hexdigest()
    assert cola.get("sentence_hash") == (digest if privacy == "hashed" else None)
    assert ("boy" in log.read_text()) == (privacy == "plain")


@pytest.mark.parametrize(("privacy", "key"), [("hashed", ""), ("hashed", KEY[:31]), ("secret", KEY)])
def test_a_privacy_that_cannot_work_stops_the_start(predictor, log, monkeypatch, privacy, key):
    monkeypatch.setenv("COLA_PRIVACY", privacy)
    monkeypatch.setenv("COLA_HASH_KEY", key)
    with pytest.raises((ValueError, KeyError), match="32 bytes|secret"):
        Recorder(predictor)


def test_a_full_disk_costs_the_line_and_not_the_prediction(predictor, log, monkeypatch, capsys):
    recorder = Recorder(predictor)

    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder.log.handlers[0], "flush", full)
    assert recorder.predict(["He runs."]) == predictor.predict(["He runs."])
    assert "No space left" in capsys.readouterr().err


def test_the_schema_refuses_what_is_not_an_event(predictor, log):
    Recorder(predictor).predict([SENTENCE])
    (good,) = events(log)
    hidden = good["cola"] | {"sentence": SENTENCE, "sentence_hash": "0" * 64}
    for bad in ({"cola": hidden}, {"cola": good["cola"] | {"score": 1.1}}, {"event": {}}, {"more": 1}):
        assert not SCHEMA.is_valid(good | bad)


def test_a_log_is_read_in_whatever_disorder(predictor, log, tmp_path, capsys):
    for _ in range(9):
        Recorder(predictor).predict(["He runs."])
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:6], "START RequestId: 1", lines[0], '{"message": "no"}', "[1]", lines[3][:200]]))
    rotated = tmp_path / "rotated.jsonl.gz"
    rotated.write_bytes(gzip.compress("\n".join(lines[6:]).encode()))
    found = read_log([str(log), str(rotated)]).execute("SELECT event.id FROM events ORDER BY 1").fetchall()
    assert [identity for (identity,) in found] == sorted(json.loads(line)["event"]["id"] for line in lines)
    assert "note: 4 lines are no events" in capsys.readouterr().err
