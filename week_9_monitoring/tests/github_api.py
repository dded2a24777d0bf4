"""A stand-in of GitHub's API for the comments of a pull request: pages, tokens, and who wrote what."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class GitHub(ThreadingHTTPServer):
    """Holds `comments`, each with the number of its pull request; `token` may write unless `read_only`."""

    def __init__(self, token: str, per_page: int = 2):
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.per_page, self.read_only = token, per_page, False
        self.comments: list[dict] = []
        self.url = "http://127.0.0.1:{1}".format(*self.server_address)

    def add(self, number: int, body: str, kind: str) -> dict:
        identity = 100 + len(self.comments)
        comment = {"id": identity, "number": number, "body": body, "user": {"type": kind},
                   "html_url": f"https://github.com/pull/{number}#{identity}"}  # fmt: skip
        self.comments.append(comment)
        return comment


class Handler(BaseHTTPRequestHandler):
    server: GitHub

    def answer(self, status: int, content, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def respond(self) -> None:
        server, path = self.server, self.path.split("?")[0]
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        thread = re.fullmatch(r"/repos/[\w-]+/[\w-]+/issues/(\d+)/comments", path)
        single = re.fullmatch(r"/repos/[\w-]+/[\w-]+/issues/comments/(\d+)", path)
        if self.headers["Authorization"] != f"Bearer {server.token}":
            self.answer(401, {"message": "Bad credentials"})
        elif self.command != "GET" and server.read_only:
            self.answer(403, {"message": "Resource not accessible by integration"})
        elif thread and self.command == "GET":
            page = int(re.search(r"[?&]page=(\d+)|$", self.path)[1] or 1)
            all_of_it = [c for c in server.comments if c["number"] == int(thread[1])]
            start, end = (page - 1) * server.per_page, page * server.per_page
            link = {"Link": f'<{server.url}{path}?page={page + 1}>; rel="next"'} if all_of_it[end:] else {}
            self.answer(200, all_of_it[start:end], **link)
        elif thread and self.command == "POST":
            self.answer(201, server.add(int(thread[1]), body["body"], "Bot"))
        elif single and self.command == "PATCH":
            (comment,) = (c for c in server.comments if c["id"] == int(single[1]))
            comment["body"] = body["body"]
            self.answer(200, comment)
        else:
            self.answer(404, {"message": "Not Found"})

    do_GET = do_POST = do_PATCH = respond  # noqa: N815, the names that http.server asks for

    def log_message(self, *_) -> None:
        """Nothing: the tests read the streams."""


@contextmanager
def github(token: str) -> Iterator[GitHub]:
    """The stand-in, answering at its `url` until the end of the block."""
    with GitHub(token) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
