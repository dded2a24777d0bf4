"""A server that answers bulk requests as Elasticsearch does, and fails as it is told to."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Cluster(BaseHTTPRequestHandler):
    """As much of Elasticsearch as a bulk request sees: it keeps documents, and fails as its server's `trouble` says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        trouble = self.server.trouble()
        if trouble == "close":
            self.close_connection = True
            return
        if isinstance(trouble, int):
            self.answer(trouble, b"<html>not now</html>")
            return
        if len(body) > self.server.limit:
            self.answer(413, b"")
            return
        lines = [json.loads(line) for line in body.decode().splitlines()]
        actions = [action["index"] for action in lines[::2]]
        if any(len(action["_id"]) > 512 for action in actions):  # as Elasticsearch: the whole request is refused
            self.answer(400, b'{"error": "id is too long"}')
            return
        items = [self.keep(action, source) for action, source in zip(actions, lines[1::2], strict=True)]
        answer = json.dumps({"errors": any(item["status"] >= 300 for item in items),
                             "items": [{"index": item} for item in items]}).encode()  # fmt: skip
        if trouble == "lose":  # the documents are kept, but nobody learns of it
            self.close_connection = True
        elif trouble == "cut":
            self.answer(200, answer[: len(answer) // 2], len(answer))
            self.close_connection = True
        elif trouble == "gibberish":
            self.answer(200, b"<html>a proxy says hello</html>")
        elif trouble == "other":
            self.answer(200, b'{"items": []}')
        else:
            self.answer(200, answer)

    def keep(self, action: dict, source: dict) -> dict:
        if isinstance(source["cola"].get("score"), str):
            return {"status": 400, "error": {"type": "document_parsing_exception"}}
        if self.server.busy():
            return {"status": 429, "error": {"type": "es_rejected_execution_exception"}}
        self.server.documents[action["_index"], action["_id"]] = source
        return {"status": 201}

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def a_cluster(address: str = "127.0.0.1"):
    server = ThreadingHTTPServer((address, 0), Cluster)
    server.daemon_threads = True
    server.documents, server.requests, server.limit = {}, [], 10_000_000
    server.trouble, server.busy = lambda: None, lambda: False
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
