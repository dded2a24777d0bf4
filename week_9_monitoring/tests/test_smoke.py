"""The smoke test: it passes on the real service, and fails on services that are ill in one way or another."""

import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import smoke_test
from annotations import notice
from serving import serving

WELL = {"status": "ok", "precision": "int8", "provenance": {"data": "bundled"}}
GOOD = [{"sentence": sentence, "label": "acceptable", "score": 0.5} for sentence in smoke_test.SENTENCES]


@contextmanager
def service(health: tuple[int, object], predict: tuple[int, object], blank: tuple[int, object] = (422, {})):
    """A service that gives these answers, status and content, whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = health if self.command == "GET" else blank if b'" "' in body else predict
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

        do_GET = do_POST = respond  # noqa: N815

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "http://127.0.0.1:{1}".format(*server.server_address)
        server.shutdown()
        thread.join()


def test_the_real_service_passes(exported, cli):
    with serving(exported / "model.onnx") as process:
        code, printed, _ = cli(smoke_test.main, process.url + "/")
    assert code == 0
    assert printed.startswith("healthy: int8")
    assert all(sentence in printed for sentence in smoke_test.SENTENCES)


@pytest.mark.parametrize(
    ("health", "predict", "blank", "message"),
    [
        ((503, {"status": "ill"}), (200, {}), (422, {}), "/health answers with 503"),
        ((200, b"<html>"), (200, {}), (422, {}), "not with a JSON object"),
        ((200, "ok"), (200, {}), (422, {}), "not with a JSON object"),
        ((200, {"status": "ok"}), (200, {}), (422, {}), "does another service have this port?"),
        ((200, WELL), (500, {"detail": "broken"}), (422, {}), "/predict answers with 500"),
        ((200, WELL), (200, {"predictions": GOOD[:1]}), (422, {}), "no judgements"),
        ((200, WELL), (200, {"predictions": [GOOD[0] | {"score": 1.5}, GOOD[1]]}), (422, {}), "no judgements"),
        ((200, WELL), (200, {"predictions": [GOOD[0] | {"label": "LABEL_1"}, GOOD[1]]}), (422, {}), "no judgements"),
        ((200, WELL), (200, {"predictions": GOOD[::-1]}), (422, {}), "no judgements"),
        ((200, WELL), (200, {"predictions": GOOD}), (200, {"predictions": GOOD[:1]}), "takes a blank sentence"),
    ],
)
def test_a_service_that_is_ill_fails_with_what_is_wrong(health, predict, blank, message, cli):
    with service(health, predict, blank) as url:
        code, _, error = cli(smoke_test.main, url)
    assert code == 2
    assert message in error


def test_a_service_that_does_not_answer_fails_in_time(cli):
    code, _, error = cli(smoke_test.main, "--patience", "0.2", "http://127.0.0.1:9")
    assert code == 2
    assert "does not answer" in error
    assert "is it started?" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [(b"", "does not answer"), (b"SSH-2.0-OpenSSH\r\n", "is it the address of our service?")],
)
def test_what_hangs_up_may_be_starting_and_what_speaks_no_http_is_refused(cli, words, message):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(words)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        code, _, error = cli(smoke_test.main, "--patience", "0.2", f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert code == 2
    assert message in error


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "http://127.0.0.1:port", "http://local host", "http://[::1"])
def test_what_is_no_address_is_refused(address, cli):
    code, _, error = cli(smoke_test.main, address)
    assert code == 2
    assert address in error
    assert "the address of" in error


def test_a_remark_is_a_command_on_github_and_text_elsewhere(monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    notice("A title", "100 % of\ntwo lines")
    monkeypatch.delenv("GITHUB_ACTIONS")
    notice("A title", "a line", "warning")
    printed, errors = capsys.readouterr()
    assert printed == "::notice title=A title::100 %25 of%0Atwo lines\n"
    assert errors == "warning: A title: a line\n"
