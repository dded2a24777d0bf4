"""The event: one line for each prediction, held against its schema, from every way in; what it does not say."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest
from fastapi.testclient import TestClient

import app as service
from conftest import BAD, GOOD, WEEK
from errors import InputError
from events import BUCKETS, EventLog, Recorder, event_log
from inference_onnx import ColaONNXPredictor, main

SCHEMA = jsonschema.Draft202012Validator(json.loads((WEEK / "event.schema.json").read_bytes()))
KEY = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def predictor(exported):
    return ColaONNXPredictor(exported / "model.onnx")


@pytest.fixture
def log(tmp_path, monkeypatch):
    """The file of the log, and no settings from outside."""
    for name in ("COLA_PRIVACY", "COLA_HASH_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLA_LOG", str(tmp_path / "log.jsonl"))
    return tmp_path / "log.jsonl"


def events(log) -> list[dict]:
    """The events of a log, each of which must be as the schema says."""
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for event in found:
        SCHEMA.validate(event)
    return found


@pytest.fixture
def client(log, exported, monkeypatch):
    monkeypatch.setenv("MODEL", str(exported / "model.onnx"))
    with TestClient(service.app, raise_server_exceptions=False) as client:
        yield client


def test_the_schema_refuses_what_is_not_an_event(predictor, log):
    Recorder(predictor, event_log("off")).predict([GOOD])
    (good,) = events(log)
    for where, bad in (("cola", good["cola"] | {"sentence": GOOD}), ("cola", good["cola"] | {"score": 1.1}),
                       ("cola", {"schema": 1, "model": good["cola"]["model"]}), ("event", {}), ("more", 1),
                       ("@timestamp", "2026-11-24 12:00:00")):  # fmt: skip
        assert not SCHEMA.is_valid(good | {where: bad})


def test_the_service_logs_each_judgement_and_each_refusal(client, log):
    client.get("/predict", params={"text": GOOD})
    client.post("/predict", json={"sentences": [GOOD, BAD, "Zyzzyva qwrtk!"] * 4})
    client.get("/predict", params={"text": " "})
    client.post("/predict", content=b"{", headers={"Content-Type": "application/json"})
    client.get("/predict?text=%ff")
    client.post("/predict", content=b"\xff", headers={"Content-Type": "application/json"})
    client.get("/health")
    found = events(log)
    assert [each["event"]["action"] for each in found] == ["judge"] * 13 + ["refuse"] * 4
    assert len({each["event"]["id"] for each in found}) == len(found)
    assert [each["error"]["type"] for each in found[13:]] == ["blank", "json_invalid", "string_unicode", "json_invalid"]
    assert [each["http"]["response"]["status_code"] for each in found[13:]] == [422, 422, 422, 400]


def test_a_judgement_says_what_was_measured(predictor, log):
    start = time.time()
    judged = Recorder(predictor, event_log("off")).predict([GOOD, "The zyzzyva is 🐻."])
    assert judged == predictor.predict([GOOD, "The zyzzyva is 🐻."])
    encodings = predictor.encode([GOOD, "The zyzzyva is 🐻."])
    unknown = predictor.tokenizer.token_to_id("[UNK]")
    for event, judgement, encoding in zip(events(log), judged, encodings, strict=True):
        cola = event["cola"]
        assert (cola["label"], cola["score"]) == (judgement["label"], judgement["score"])
        assert cola["acceptable"] == (judgement["label"] == "acceptable")
        assert cola["tokens"] == len(encoding.ids) == sum(cola["vocabulary"])
        assert cola["unknown_tokens"] == encoding.ids.count(unknown)
        assert cola["unknown_share"] == pytest.approx(cola["unknown_tokens"] / cola["tokens"], abs=1e-4)
        assert cola["vocabulary"] == [sum(i % BUCKETS == bucket for i in encoding.ids) for bucket in range(BUCKETS)]
        assert (cola["batch_size"], cola["truncated"]) == (2, False)
        assert 0 < event["event"]["duration"] < (time.time() - start) * 1e9
    assert events(log)[1]["cola"]["unknown_tokens"] > 0


def test_a_long_sentence_is_marked_as_cut(predictor, log):
    Recorder(predictor, event_log("off")).predict(["very " * 200 + "old"])
    assert [(each["cola"]["truncated"], each["cola"]["tokens"]) for each in events(log)] == [(True, 64)]


def test_the_model_is_named_with_what_it_was_made_from(predictor, exported, log):
    recorder = Recorder(predictor, event_log("off"))
    recorder.predict([GOOD])
    model = events(log)[0]["cola"]["model"]
    assert model["sha256"] == hashlib.sha256((exported / "model.onnx").read_bytes()[:-64]).hexdigest()
    for name, value in model.items():
        assert name in ("sha256", "precision") or value == predictor.provenance[name]


def test_a_percent_sign_in_a_name_does_no_harm(predictor, log, monkeypatch):
    monkeypatch.setattr(predictor, "provenance", predictor.provenance | {"data": 'a "50%s" sample'})
    Recorder(predictor, event_log("off")).predict([GOOD])
    assert events(log)[0]["cola"]["model"]["data"] == 'a "50%s" sample'


def test_by_default_the_log_does_not_hold_the_sentence(predictor, log):
    Recorder(predictor, event_log("off")).predict(["The secret boy is sitting."])
    assert "secret" not in log.read_text(encoding="utf-8")
    assert "sentence_hash" not in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("sentence", [GOOD, 'He said "100 %s"\n\\and 🐻.'])
def test_plain_and_hashed(predictor, log, monkeypatch, sentence):
    monkeypatch.setenv("COLA_PRIVACY", "plain")
    Recorder(predictor, event_log("off")).predict([sentence])
    monkeypatch.setenv("COLA_PRIVACY", "hashed")
    monkeypatch.setenv("COLA_HASH_KEY", KEY)
    Recorder(predictor, event_log("off")).predict([sentence])
    plain, hashed = events(log)
    assert plain["cola"]["sentence"] == sentence
    assert hashed["cola"]["sentence_hash"] == hmac.new(KEY.encode(), sentence.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(
    ("mode", "key", "message"),
    [
        ("hashed", "", "32 bytes or more in COLA_HASH_KEY, not 0: openssl"),
        ("hashed", KEY[:31], "not 31: openssl"),
        ("secret", KEY, "choose none, hashed or plain"),
    ],
)
def test_a_mode_that_cannot_work_stops_the_start(predictor, log, monkeypatch, mode, key, message):
    monkeypatch.setenv("COLA_PRIVACY", mode)
    monkeypatch.setenv("COLA_HASH_KEY", key)
    with pytest.raises(InputError, match=message):
        Recorder(predictor, event_log("off"))


def test_a_failure_is_an_event_too(client, log, monkeypatch):
    monkeypatch.setattr(ColaONNXPredictor, "run", lambda *_: [][0])
    assert client.get("/predict", params={"text": GOOD}).status_code == 500
    (event,) = events(log)
    assert (event["event"]["outcome"], event["error"]) == ("failure", {"type": "IndexError"})


def test_the_command_line_logs_only_when_told(cli, exported, log, monkeypatch):
    _, told, _ = cli(main, "--model", exported / "model.onnx", "--json", GOOD, BAD)
    assert [each["cola"]["score"] for each in events(log)] == [json.loads(line)["score"] for line in told.splitlines()]
    monkeypatch.delenv("COLA_LOG")
    assert cli(main, "--model", exported / "model.onnx", "--json", GOOD, BAD)[1:] == (told, "")
    assert len(events(log)) == 2


@pytest.mark.skipif(not (WEEK / "lambda_handler.py").exists(), reason="the week has no Lambda function")
def test_lambda_logs_the_same_lines(exported, log, tmp_path):
    """In a process of its own: the function loads its model when it is imported."""
    script = (
        "import types, lambda_handler as m; c = types.SimpleNamespace(aws_request_id='1', function_name='f', "
        "get_remaining_time_in_millis=lambda: 9000); print(m.lambda_handler({'sentence': 'He runs.'}, c))"
    )
    environment = os.environ | {"MODEL": str(exported / "model.onnx")}
    subprocess.run([sys.executable, "-c", script], cwd=WEEK, env=environment, check=True)
    assert [each["event"]["action"] for each in events(log)] == ["judge"]


def test_standard_output_is_the_service_s_default(exported, tmp_path):
    script = "from events import *; r = event_log('stdout'); r.write('one'); event_log('off') or r.write('two')"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COLA_")}
    run = subprocess.run([sys.executable, "-c", script], cwd=WEEK, env=environment, capture_output=True, check=True)
    assert (run.stdout, run.stderr) == (b"one\ntwo\n", b"")


def test_a_place_that_cannot_be_written_stops_the_start(tmp_path):
    with pytest.raises(InputError, match="No such file or directory"):
        EventLog(str(tmp_path / "no" / "log.jsonl"))
    with pytest.raises(InputError, match="is a folder: name a file in it"):
        EventLog(str(tmp_path))


def test_a_full_disk_costs_the_log_and_not_the_prediction(predictor, capfd):
    recorder = Recorder(predictor, EventLog("/dev/full"))
    assert [recorder.predict([GOOD]) for _ in range(3)] == [predictor.predict([GOOD])] * 3
    assert capfd.readouterr().err.count("cannot be logged") == 1


def test_a_torn_line_does_not_spoil_the_next(tmp_path, monkeypatch):
    log = EventLog(str(tmp_path / "log.jsonl"))
    write, sizes = os.write, iter([3])

    def nearly_full(descriptor: int, content: bytes) -> int:
        size = next(sizes, None)
        if size is None:
            raise OSError(28, "No space left on device")
        return write(descriptor, content[:size])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        log.write("first")
    log.write("second")
    assert (tmp_path / "log.jsonl").read_text() == "fir\nsecond\n"


def test_the_file_may_be_rotated_under_a_running_service(tmp_path):
    log = EventLog(str(tmp_path / "log.jsonl"))
    log.write("one")
    (tmp_path / "log.jsonl").rename(tmp_path / "log.jsonl.1")
    log.next_look = 0  # as a second later
    log.write("two")
    assert [(tmp_path / name).read_text() for name in ("log.jsonl.1", "log.jsonl")] == ["one\n", "two\n"]


def test_lines_of_threads_and_processes_do_not_mix(tmp_path):
    path = tmp_path / "log.jsonl"
    script = f"from events import EventLog; log = EventLog({str(path)!r}); [log.write('p' * 9000) for _ in range(200)]"
    other = subprocess.Popen([sys.executable, "-c", script], cwd=WEEK)
    log = EventLog(str(path))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log.write, [letter * 9000 for letter in "abcdefgh" * 25]))
    other.wait()
    lines = path.read_text().splitlines()
    assert len(lines) == 400
    assert {len(line) for line in lines} == {9000}
    assert all(len(set(line)) == 1 for line in lines)


def test_threads_may_judge_at_the_same_time(predictor, log):
    recorder, sentences = Recorder(predictor, event_log("off")), [f"{'very ' * i}old dogs bark." for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        scores = pool.map(lambda each: recorder.predict([each])[0]["score"], sentences)
        judged = dict(zip(sentences, scores, strict=True))
    by_length = {each["cola"]["tokens"]: each["cola"]["score"] for each in events(log)}
    assert by_length == {len(predictor.encode([each])[0].ids): score for each, score in judged.items()}


def test_what_the_recorder_does_not_change_is_the_predictor_s(predictor):
    recorder = Recorder(predictor, None)
    assert (recorder.precision, recorder.max_length) == (predictor.precision, predictor.max_length)
    assert recorder.provenance is predictor.provenance
