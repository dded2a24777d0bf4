"""Stand-ins for AWS: moto's server, and a server that gives the answers which moto does not give."""

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.server import ThreadedMotoServer

ACCOUNT = "123456789012"  # moto's, and that of AWS's documentation
REGION = "eu-central-1"


@pytest.fixture(name="no_account", autouse=True)
def no_account_fixture(monkeypatch, tmp_path_factory):
    """A machine without an account: keys that open nothing, and no settings of the user's."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ECR_"))]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("aws")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers keys


@pytest.fixture(name="moto", scope="module")
def moto_fixture():
    """Moto's server; gives its address."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(name="aws")
def aws_fixture(moto, no_account, monkeypatch) -> str:
    """Let the commands talk to moto; gives its address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    return moto


@contextmanager
def answering(answer):
    """A server on a free port: `answer(method, path, headers)` gives status, headers and body; gives its address.

    A body that is shorter than its Content-Length is one that broke off.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = answer(self.command, self.path, self.headers)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body)), "Connection": "close"} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.close_connection = True

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
