"""The web service: its answers, what it refuses, how it starts and stops, and how it bears load and rude clients."""

import http.client
import json
import shutil
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import quote

import pandas as pd
import psutil
import pytest
from fastapi.testclient import TestClient

import app as service
from conftest import BAD, BUNDLED, GOOD
from errors import InputError
from inference_onnx import ColaONNXPredictor
from serving import export, serving

CLIENTS = 16


@pytest.fixture(scope="module")
def model(checkpoint, small, tmp_path_factory):
    return export(checkpoint, small, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def client(model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL", str(model))
        with TestClient(service.app) as client:
            yield client


@pytest.fixture
def server(model):
    """The service as a process of its own."""
    with serving(model) as process:
        yield process


def address(server) -> tuple[str, int]:
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


def connect(server) -> closing:
    return closing(http.client.HTTPConnection(*address(server), timeout=20))


def ask(connection: http.client.HTTPConnection, sentence: str) -> tuple[int, dict]:
    connection.request("GET", f"/predict?text={quote(sentence)}")
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_one_sentence_gets_the_judgement_that_inference_gives(client, model):
    answer = client.get("/predict", params={"text": "Ein Bär & 1 + 1 🐻?"})
    assert answer.status_code == 200
    assert answer.json() == ColaONNXPredictor(model).predict(["Ein Bär & 1 + 1 🐻?"])[0]


def test_a_batch_gets_its_judgements_in_its_order(client, model):
    sentences = [f"{'very ' * (i % 7)}old dogs bark {i}." for i in range(service.MAX_SENTENCES)]
    answer = client.post("/predict", json={"sentences": sentences})
    assert answer.status_code == 200
    judged, expected = answer.json()["predictions"], ColaONNXPredictor(model).predict(sentences)
    assert [judgement["sentence"] for judgement in judged] == sentences
    scores = [[judgement["score"] for judgement in each] for each in (judged, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=2e-4)  # rounded to 4 digits


def test_health_says_which_model_it_is(client, model):
    predictor = ColaONNXPredictor(model)
    assert client.get("/health").json() == {
        "status": "ok",
        "precision": predictor.precision,
        "max_length": predictor.max_length,
        "provenance": predictor.provenance,
    }


TEXT, FIRST, SECOND = ["query", "text"], ["body", "sentences", 0], ["body", "sentences", 1]
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("request_", "status", "field"),
    [
        ({"params": {}}, 422, TEXT),
        ({"params": {"text": ""}}, 422, TEXT),
        ({"params": {"text": " \t"}}, 422, TEXT),
        ({"params": {"text": "word " * 10_000}}, 422, TEXT),
        ({"url": "/predict?text=caf%e9"}, 422, TEXT),
        ({"url": "/predict?text=%ed%a0%80"}, 422, TEXT),  # half a surrogate pair
        ({"params": {"text": [BAD, GOOD]}}, 422, TEXT),
        ({"json": {"sentences": [GOOD, "  "]}}, 422, SECOND),
        ({"json": {"sentences": [GOOD, "word " * 10_000]}}, 422, SECOND),
        ({"json": {"sentences": [1, GOOD]}}, 422, FIRST),
        ({"json": {"sentences": [GOOD, None]}}, 422, SECOND),
        ({"json": {"sentences": GOOD}}, 422, ["body", "sentences"]),
        ({"json": {"sentences": []}}, 422, ["body", "sentences"]),
        ({"json": {"sentences": [GOOD] * 65}}, 422, ["body", "sentences"]),
        ({"json": {"sentence": GOOD}}, 422, ["body", "sentences"]),
        ({"json": {"sentences": [GOOD], "lang": "en"}}, 422, ["body", "lang"]),
        ({"json": [GOOD]}, 422, ["body"]),
        ({"data": {"sentences": GOOD}}, 422, ["body"]),
        ({"content": b"", "headers": JSON}, 422, ["body"]),
        ({"content": b'{"sentences": [', "headers": JSON}, 422, ["body", 15]),
        ({"content": b'{"sentences": ["He runs.", "\\ud800"]}', "headers": JSON}, 422, SECOND),
        ({"content": b'{"sentences": ["caf\xe9"]}', "headers": JSON}, 400, ["body"]),
        ({"content": b"[" * 100_000, "headers": JSON}, 400, ["body"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_input_is_refused_by_the_name_of_its_field(client, request_, status, field):
    method = "GET" if request_.keys() & {"params", "url"} else "POST"
    answer = client.request(method, **{"url": "/predict"} | request_)
    assert answer.status_code == status
    assert answer.json()["detail"][0]["loc"] == field
    assert len(answer.content) < 1000  # it does not send back what it was sent


@pytest.mark.parametrize("chunked", [True, False])
def test_a_huge_body_is_refused(client, chunked):
    body = b" " * (service.MAX_BODY_BYTES + 1)
    answer = client.post("/predict", content=iter([body]) if chunked else body, headers=JSON)
    assert answer.status_code == 413
    assert "Content Too Large" in answer.text


def test_the_largest_batch_there_may_be_is_judged(client):
    sentences = ["ы" * service.MAX_CHARACTERS] * service.MAX_SENTENCES
    answer = client.post("/predict", content=json.dumps({"sentences": sentences}), headers=JSON)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/predict/?text=He", 404),
        ("DELETE", "/predict", 405),
        ("POST", "/health", 405),
    ],
)
def test_unknown_paths_and_methods_are_refused(client, method, path, status):
    assert client.request(method, path).status_code == status


def half(folder):
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])


def one_byte(folder):
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


def empty(folder):
    (folder / "model.onnx").write_bytes(b"")


def missing(folder):
    (folder / "model.onnx").unlink()


def no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def foreign_tokenizer(folder):
    shutil.copy(BUNDLED / "tokenizer.json", folder)


@pytest.mark.parametrize("damage", [half, one_byte, empty, missing, no_tokenizer, foreign_tokenizer])
def test_a_model_that_is_not_whole_is_refused_at_start_with_the_cure(damage, model, tmp_path, monkeypatch):
    folder = shutil.copytree(model.parent, tmp_path / "models")
    damage(folder)
    monkeypatch.setenv("MODEL", str(folder / "model.onnx"))
    with (
        pytest.raises(InputError, match=r'(model\.onnx|tokenizer\.json) .*: run "python convert_model_to_onnx.py"'),
        TestClient(service.app),
    ):
        pass


def test_a_start_that_fails_ends_the_process_with_the_cure_and_no_traceback(tmp_path):
    with pytest.raises(RuntimeError) as ended, serving(tmp_path / "model.onnx"):
        pass
    assert ended.match("exit code [1-9]")
    assert ended.match('model.onnx not found: run "python convert_model_to_onnx.py" first')
    assert "Traceback" not in str(ended.value)


def test_an_empty_variable_is_as_none_at_all(model, tmp_path, monkeypatch):
    shutil.copytree(model.parent, tmp_path / "models")
    monkeypatch.setenv("MODEL", "")
    monkeypatch.chdir(tmp_path)
    with TestClient(service.app) as client:
        assert client.get("/health").json()["status"] == "ok"


def test_the_first_requests_may_all_come_at_once(server, model):
    barrier = threading.Barrier(CLIENTS)

    def first(number: int) -> dict:
        barrier.wait()
        with connect(server) as connection:
            status, judgement = ask(connection, f"{number} dogs bark.")
        assert status == 200
        return judgement

    with ThreadPoolExecutor(CLIENTS) as pool:
        together = list(pool.map(first, range(CLIENTS)))
    predictor = ColaONNXPredictor(model)
    assert together == [predictor.predict([f"{number} dogs bark."])[0] for number in range(CLIENTS)]


def test_slow_and_vanishing_clients_hold_up_nobody(server):
    body = json.dumps({"sentences": [BAD] * service.MAX_SENTENCES}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    rude = []
    for sent in (b"GET /pre", head, head + body[:100]):  # and then nothing more
        rude += [socket.create_connection(address(server)) for _ in range(50)]
        for connection in rude[-50:]:
            connection.sendall(sent)
    for _ in range(10):  # the whole request, but nobody who reads the answer
        with socket.create_connection(address(server)) as connection:
            connection.sendall(head + body)
    started = time.perf_counter()
    with connect(server) as polite:
        assert ask(polite, GOOD)[0] == 200
    assert time.perf_counter() - started < 5
    for connection in rude:
        connection.close()
    server.terminate()
    assert "Traceback" not in server.communicate(timeout=10)[1]


def test_a_stop_finishes_the_answer_that_is_due_and_waits_for_nobody_else(server):
    with connect(server) as idle, connect(server) as slow, connect(server) as due:
        assert ask(idle, GOOD)[0] == 200
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Length", "1000")
        slow.endheaders()  # and never a body
        due.request("POST", "/predict", json.dumps({"sentences": ["word " * 400] * service.MAX_SENTENCES}), JSON)
        time.sleep(0.05)  # it is being judged
        server.send_signal(signal.SIGTERM)
        assert due.getresponse().status == 200
        server.wait(timeout=10)  # 2 s on an idle machine


def test_16_clients_get_every_answer_and_memory_does_not_grow(server):
    sentences = pd.read_csv(BUNDLED / "validation.csv")["sentence"].tolist()
    process = psutil.Process(server.pid)

    def work(number: int, until: float) -> int:
        answers = 0
        with connect(server) as connection:
            while time.monotonic() < until:
                sentence = sentences[(number + answers * CLIENTS) % len(sentences)]
                status, judgement = ask(connection, sentence)
                assert (status, judgement["sentence"]) == (200, sentence)
                answers += 1
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:

        def load(seconds: float) -> int:
            until = time.monotonic() + seconds
            return sum(pool.map(work, range(CLIENTS), [until] * CLIENTS))

        load(2)  # every thread has its buffers now
        before = process.memory_info().rss
        assert load(5) > 200
        assert process.memory_info().rss - before < 8e6  # bytes
