"""The importer, against a stand-in that keeps to the contracts of Elasticsearch, Kibana and OpenSearch Dashboards.

The contracts are those of their documentation: a header against forged requests, a multipart body with an .ndjson file,
an answer that counts what was imported; 503 while they start; references that must exist.
"""

import email
import email.policy
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import import_dashboards
from conftest import WEEK
from stand_ins import no_account_fixture  # noqa: F401

NDJSON = (WEEK / "kibana/dashboard.ndjson").read_bytes()
NEWEST = {  # that OpenSearch Dashboards takes: the versions of its migrations
    "dashboard": (7, 9, 3),
    "visualization": (7, 10, 0),
    "index-pattern": (7, 6, 0),
}


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.server.starting:
            self.server.starting -= 1
            return self.answer(503, b"Kibana server is not ready yet")
        if self.path == "/api/status":
            return self.answer(200, b'{"name": "kibana", "version": {"number": "8.17.4"}}')
        return self.answer(200, json.dumps({"version": self.server.version}).encode())

    def do_PUT(self):
        template = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.templates[self.path] = template
        self.answer(200, b'{"acknowledged": true}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != self.server.authorization:
            return self.answer(401, b'{"statusCode": 401, "error": "Unauthorized"}')
        if not self.headers[self.server.guard]:
            return self.answer(400, b'{"message": "Request must contain a header against forgery."}')
        if self.path != "/api/saved_objects/_import?overwrite=true":
            return self.answer(404, b"{}")
        content = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
        (part,) = email.message_from_bytes(content, policy=email.policy.HTTP).iter_parts()
        assert part.get_param("name", header="content-disposition") == "file"
        assert part.get_filename().endswith(".ndjson")
        objects = [json.loads(line) for line in part.get_payload(decode=True).splitlines()]
        known = {(each["type"], each["id"]) for each in objects} | set(self.server.objects)
        errors = []
        for each in objects:
            missing = [r for r in each["references"] if (r["type"], r["id"]) not in known]
            if missing:
                error = {"type": "missing_references", "references": missing}
                errors.append({"id": each["id"], "type": each["type"], "error": error})
            else:
                self.server.objects[each["type"], each["id"]] = each
        answer = {"success": not errors, "successCount": len(objects) - len(errors)}
        return self.answer(200, json.dumps(answer | ({"errors": errors} if errors else {})).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def a_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.starting, server.authorization, server.guard = 0, None, "kbn-xsrf"
        server.version, server.templates, server.objects = {"number": "8.17.4"}, {}, {}
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("API_KEY", raising=False)
    monkeypatch.setattr(import_dashboards, "PAUSE", 0)
    with a_server() as server:
        yield server


@pytest.fixture
def importing(cli, server):
    return lambda *more: cli(import_dashboards.main, "--cluster", server.url, "--kibana", server.url, *more)


@pytest.mark.parametrize(("guard", "version", "name"), [
    ("kbn-xsrf", {"number": "8.17.4"}, "elasticsearch 8.17.4"),
    ("osd-xsrf", {"number": "2.19.0", "distribution": "opensearch"}, "opensearch 2.19.0"),
])  # fmt: skip
def test_the_dashboard_is_imported(importing, server, guard, version, name):
    server.guard, server.version = guard, version
    code, out, _ = importing()
    assert (code, out.splitlines()[0]) == (0, f"index template: {name} has it")
    assert len(server.objects) == len(NDJSON.splitlines())
    assert ("dashboard", "cola") in server.objects
    assert list(server.templates) == ["/_index_template/cola"]


def test_a_second_time_replaces_the_first(importing, server):
    assert [importing()[0] for _ in range(2)] == [0, 0]
    assert len(server.objects) == len(NDJSON.splitlines())


def test_it_waits_for_servers_that_start(importing, server):
    server.starting = 3
    code, _, err = importing()
    assert code == 0
    assert err.count("waiting for") == 3


def test_it_does_not_wait_for_ever(cli, server):
    server.starting = 10**9
    code, _, err = cli(import_dashboards.main, "--cluster", server.url, "--wait", "0")
    assert (code, "in 0 s" in err, "not ready yet" in err) == (2, True, True)


def test_a_refusal_is_told_with_its_cure(importing, server, monkeypatch):
    server.authorization = "ApiKey secret"
    code, _, err = importing()
    assert (code, "HTTP 401" in err, "set API_KEY" in err) == (2, True, True)
    monkeypatch.setenv("API_KEY", "secret")
    assert importing()[0] == 0


@pytest.mark.parametrize(("missing", "said"), [
    ("AWS_ACCESS_KEY_ID", "Unable to locate credentials"),
    ("AWS_SECRET_ACCESS_KEY", "Partial credentials found"),
    ("AWS_DEFAULT_REGION", "You must specify a region"),
])  # fmt: skip
def test_what_is_lacking_to_sign_is_told_with_its_cure(cli, server, monkeypatch, missing, said):
    monkeypatch.delenv(missing)
    code, _, err = cli(import_dashboards.main, "--cluster", "https://search-cola.eu-central-1.es.amazonaws.com")
    assert (code, said in err, "sign in" in err, "set AWS_DEFAULT_REGION" in err) == (2, True, True, True)


@pytest.mark.parametrize(("option", "given"), [("--cluster", ""), ("--kibana", "localhost:5601")])
def test_an_address_is_a_url(cli, option, given):
    code, _, err = cli(import_dashboards.main, option, given)
    assert (code, f"argument {option}: {given!r} must begin with http:// or https://\n" in err) == (2, True)


def test_what_was_not_imported_is_told(server):
    broken = b"\n".join(line for line in NDJSON.splitlines() if b'"id": "cola-01_volume"' not in line[:30])
    with pytest.raises(import_dashboards.InputError, match="cola-01_volume"):
        import_dashboards.import_objects(server.url, broken)


def test_something_else_answers(importing, server):
    server.version = None
    code, _, err = importing()
    assert (code, "is not a cluster" in err) == (2, True)


def test_no_object_is_newer_than_opensearch_dashboards_takes():
    for line in NDJSON.splitlines():
        saved = json.loads(line)
        (version,) = saved["migrationVersion"].values()
        assert tuple(map(int, version.split("."))) <= NEWEST[saved["type"]]
        assert not {"coreMigrationVersion", "typeMigrationVersion", "managed"} & set(saved)  # of Kibana 8
