"""The handler: events of every door it has, what it refuses, and a start without a whole model."""

import base64
import json
import logging
import os
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import app as service
import invoke
from conftest import BAD, GOOD, WEEK
from inference_onnx import ColaONNXPredictor
from serving import export
from stand_ins import answering

EVENTS = Path(__file__).with_name("events")
MODEL_ERROR = 'run "python convert_model_to_onnx.py"'


@pytest.fixture(scope="module")
def model(checkpoint, small, tmp_path_factory):
    return export(checkpoint, small, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def handler(model):
    """`lambda_handler` as Lambda loads it, once, with this model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL", str(model))
        from lambda_handler import lambda_handler

        yield lambda_handler


@pytest.fixture(scope="module")
def expected(model):
    """What the model itself says of the two sentences of the events."""
    return ColaONNXPredictor(model).predict([GOOD + ".", BAD + "."])


def event(name: str) -> dict:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


def content(response: dict):
    """The JSON in the body of a response to a gateway."""
    body = response["body"]
    return json.loads(base64.b64decode(body) if response.get("isBase64Encoded") else body)


@pytest.mark.parametrize("name", ["rest_v1_get", "http_v2_get", "function_url_get"])
def test_a_get_request_is_answered_whatever_gateway_it_came_by(handler, expected, name):
    response = handler(event(name), None)
    assert response["statusCode"] == 200
    assert content(response) == expected[0]


@pytest.mark.parametrize("body", ["", "_base64"])
@pytest.mark.parametrize("door", ["rest_v1", "http_v2", "function_url"])
def test_a_batch_is_answered_plain_or_in_base64(handler, expected, door, body):
    request = event("function_url_post_base64" if door == "function_url" else f"{door}_post{body}")
    if door == "function_url" and not body:
        request |= {"body": base64.b64decode(request["body"]).decode(), "isBase64Encoded": False}
    response = handler(request, None)
    assert (response["statusCode"], content(response)) == (200, {"predictions": expected})
    assert response["headers"]["content-type"] == "application/json"


def test_direct_events_get_the_judgement_itself(handler, expected):
    assert handler(event("direct_sentence"), None) == expected[0]
    assert handler(event("direct_sentences"), None) == {"predictions": expected}


@pytest.mark.parametrize("name", ["ping_schedule", "ping_input", "ping_plugin"])
def test_a_ping_is_answered_without_a_judgement(handler, name, monkeypatch):
    monkeypatch.setattr(service.app.state.predictor, "predict", None)  # a call of it would fail
    assert handler(event(name), None) == {"status": "warm"}


@pytest.mark.parametrize(
    ("name", "sender"),
    [("sqs", "aws:sqs"), ("s3", "aws:s3"), ("sns", "aws:sns"), ("eventbridge", "aws.ec2"), ("logs", "unknown")],
)
def test_an_event_of_another_service_gets_an_error_that_names_it(handler, name, sender):
    error = handler(event(f"other_{name}"), None)["error"]
    assert error["status"] == 400
    assert sender in error["detail"][0]["msg"]
    assert '{"sentence": "..."}' in error["detail"][0]["msg"]


@pytest.mark.parametrize(
    ("direct", "keys"),
    [
        ({"sentense": "secret"}, "'sentense'"),
        ({}, "none"),
        ({name * 40: "secret" for name in "abcdef"}, ", ".join(repr(name * 30) for name in "abcde") + ", ..."),
    ],
)
def test_an_event_of_no_service_gets_an_error_that_names_a_few_of_its_keys(handler, direct, keys):
    message = handler(direct, None)["error"]["detail"][0]["msg"]
    assert message.startswith(f"An event of an unknown kind (its keys: {keys}) is not for this function: send ")
    assert "secret" not in message


@pytest.mark.parametrize(
    ("direct", "status", "loc"),
    [
        ({}, 400, ["event"]),
        ({"text": GOOD}, 400, ["event"]),
        ([GOOD], 400, ["event"]),
        (GOOD, 400, ["event"]),
        (None, 400, ["event"]),
        ({"sentence": "  "}, 422, ["event", "sentence"]),
        ({"sentence": 3}, 422, ["event", "sentence"]),
        ({"sentence": None}, 422, ["event", "sentence"]),
        ({"sentence": "\ud800"}, 422, ["event", "sentence"]),
        ({"sentence": "a" * (service.MAX_CHARACTERS + 1)}, 422, ["event", "sentence"]),
        ({"sentence": GOOD, "language": "en"}, 422, ["event", "language"]),
        ({"sentence": GOOD, "sentences": [GOOD]}, 422, ["event", "sentence"]),
        ({"sentences": []}, 422, ["event", "sentences"]),
        ({"sentences": [GOOD, ""]}, 422, ["event", "sentences", 1]),
        ({"sentences": [GOOD] * (service.MAX_SENTENCES + 1)}, 422, ["event", "sentences"]),
        ({"sentences": "a" * service.MAX_BODY_BYTES}, 413, ["event"]),
    ],
)
def test_a_direct_event_that_does_not_fit_gets_an_error_that_names_the_field(handler, direct, status, loc):
    error = handler(direct, None)["error"]
    assert (error["status"], error["detail"][0]["loc"]) == (status, loc)
    assert "Traceback" not in json.dumps(error)


def request(**changes) -> dict:
    return event("http_v2_post") | changes


BINARY = base64.b64encode(b"\x89PNG\r\n\x1a\n\xff\xfe").decode()


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (request(body='{"sentences": ['), 422),
        (request(body=None), 422),
        (request(body='{"text": "He runs."}'), 422),
        (request(body=BINARY, isBase64Encoded=True), 400),
        (request(body="not base64", isBase64Encoded=True), 400),
        (request(body="\ud800"), 400),
        (request(headers=None), 400),
        (request(headers={"host": "a:b:c"}), 400),
        (request(requestContext={}), 400),
        (request(requestContext=None), 400),
        (event("other_websocket"), 400),
        (event("rest_v1_get") | {"path": "/unknown"}, 404),
        (request(requestContext={"http": {"method": "GET", "path": "/unknown", "sourceIp": ""}}), 404),
        (request(requestContext={"http": {"method": "PUT", "path": "/predict", "sourceIp": ""}}), 405),
        (event("http_v2_get") | {"rawQueryString": "text=caf%e9"}, 422),
        (request(body=" " * (service.MAX_BODY_BYTES + 1)), 413),
    ],
)
def test_a_bad_request_gets_a_4xx_without_a_trace(handler, bad, status, caplog):
    with caplog.at_level(logging.INFO):
        response = handler(bad, None)
    assert response["statusCode"] == status
    assert json.loads(response["body"])["detail"]
    assert "Traceback" not in response["body"] + caplog.text


def test_a_mistake_in_the_app_is_a_500_and_no_end(handler, monkeypatch, expected):
    def fail(sentences):
        raise ZeroDivisionError("a secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(service.app.state.predictor, "predict", fail)
        assert handler(event("http_v2_get"), None)["statusCode"] == 500
        answer = handler(event("direct_sentence"), None)
        assert answer["error"]["status"] == 500
        assert "secret" not in json.dumps(answer)
    assert handler(event("direct_sentence"), None) == expected[0]


def test_the_model_is_loaded_once_and_a_warm_event_takes_less_than_5_ms(handler, monkeypatch):
    monkeypatch.setattr(service, "ColaONNXPredictor", None)  # to load another would fail
    times = []
    for _ in range(50):
        started = time.perf_counter()
        handler(event("http_v2_get"), None)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.005  # s; a neighbour on the same core may hold up most


def test_no_answer_to_a_response_of_6_mb_is_possible(handler):
    batch = {"sentences": ["\u20ac" * service.MAX_CHARACTERS] * service.MAX_SENTENCES}
    response = handler(request(body=json.dumps(batch, ensure_ascii=False)), None)
    assert response["statusCode"] == 200
    assert len(json.dumps(response)) < 6_000_000  # Lambda's limit for a payload, in or out


def test_no_log_holds_what_people_send(handler, caplog):
    with caplog.at_level(logging.INFO):
        for bad in (request(body="confidential", headers=None), {"confidential": 1}, {"sentence": " confidential"}):
            handler(bad, None)
        handler(event("http_v2_get") | {"rawQueryString": "text=confidential"}, None)
    assert "confidential" not in caplog.text


def start(model: Path | str) -> subprocess.CompletedProcess:
    """Load the handler in a process of its own, as Lambda would."""
    return subprocess.run(
        [sys.executable, "-c", "import lambda_handler"],
        cwd=WEEK,
        env=os.environ | {"MODEL": str(model)},
        capture_output=True,
        text=True,
    )


def test_a_start_without_a_whole_model_says_the_cure(model, tmp_path):
    missing = start(tmp_path / "model.onnx").stderr.splitlines()[-1]
    assert missing.startswith("ImportError: ")  # which Lambda reports without a stack trace
    assert MODEL_ERROR in missing
    (tmp_path / "model.onnx").write_bytes(model.read_bytes()[:-1000])
    (tmp_path / "tokenizer.json").write_bytes((model.parent / "tokenizer.json").read_bytes())
    damaged = start(tmp_path / "model.onnx").stderr.splitlines()[-1]
    assert "model.onnx is damaged" in damaged
    assert MODEL_ERROR in damaged


def test_loading_the_handler_loads_nothing_heavy(model):
    script = "import lambda_handler, sys; print(sorted({'torch', 'transformers', 'datasets', 'pytorch_lightning', "
    script += "'boto3', 'pandas', 'matplotlib'} & set(sys.modules)))"
    environment = os.environ | {"MODEL": str(model)}
    assert subprocess.check_output([sys.executable, "-c", script], cwd=WEEK, env=environment) == b"[]\n"


def test_an_emulator_that_hangs_up_may_be_starting(cli, monkeypatch):
    monkeypatch.setattr(invoke, "WAIT_S", 0)
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        code, _, error = cli(invoke.main, "--url", f"http://127.0.0.1:{server.server_address[1]}", GOOD)
        server.shutdown()
    assert code == 2
    assert "is the container running?" in error


def test_invoke_takes_the_address_of_the_emulator_with_its_path_too(cli):
    with answering(lambda method, path, _: (200 if (method, path) == ("POST", invoke.PATH) else 404, {}, b"{}")) as url:
        for address in (url, url + invoke.PATH):
            assert cli(invoke.main, "--url", address, GOOD)[:2] == (0, "{}\n")


def test_invoke_prints_answers_and_tells_errors_by_its_exit_code(handler, expected, cli, tmp_path, monkeypatch):
    monkeypatch.setattr(invoke, "WAIT_S", 0)
    code, out, _ = cli(invoke.main, GOOD + ".", "--event", EVENTS / "direct_sentences.json")
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, [expected[0], {"predictions": expected}])
    code, out, _ = cli(invoke.main, "--event", EVENTS / "other_sqs.json", "--event", EVENTS / "ping_input.json")
    assert code == 1
    assert "aws:sqs" in out
    (tmp_path / "event.json").write_text("{")
    for arguments, said in (
        ((), "nothing to send"),
        (("--event", tmp_path / "none.json"), "none.json not found"),
        (("--event", tmp_path / "event.json"), "is not a JSON file"),
        (("--url", "http://127.0.0.1:9", "a"), "is the container running?"),
        (("--url", "127.0.0.1:9000", "a"), "--url 127.0.0.1:9000: write http://127.0.0.1:9000\n"),
        (("--url", "http://127.0.0.1:90OO", "a"), "give the emulator's, as http://127.0.0.1:9000\n"),
    ):
        code, out, err = cli(invoke.main, *arguments)
        assert (code, out) == (2, "")
        assert said in err
