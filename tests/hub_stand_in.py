"""A stand-in for the Hugging Face Hub on this computer: as much of its protocol as its clients need to download.

    with HubStandIn({"google/electra-small-discriminator": Repository(revision, {"config.json": b"{...}"})}) as hub:
        subprocess.run(command, env=os.environ | {"HF_ENDPOINT": hub.url})
    assert hub.requests == ["HEAD /google/electra-small-discriminator/resolve/...", ...]

Its answers have the form of https://huggingface.co's, as `file_download.py` and `hf_api.py` of huggingface_hub expect
it: metadata travels in headers, and a 404 says what is missing.
"""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = r"(?P<name>(datasets/)?[^/]+/[^/]+)"
RESOLVE = re.compile(rf"/{REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
API = re.compile(rf"/api/(models/)?{REPOSITORY}/(?P<what>revision|tree|paths-info)/(?P<revision>[^/]+)/?(?P<path>.*)")


class Repository(NamedTuple):
    """A repository with one commit."""

    revision: str
    files: dict[str, bytes]


class HubStandIn(ThreadingHTTPServer):
    """Serves repositories (the names of data sets begin with `datasets/`) until the end of its `with` block."""

    daemon_threads = True

    def __init__(self, repositories: dict[str, Repository]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.requests = repositories, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "HubStandIn":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.requests.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        call = RESOLVE.fullmatch(unquote(url.path)) or API.fullmatch(unquote(url.path))
        repository = self.server.repositories.get(call["name"]) if call else None
        if repository is None:
            return self.send(404, {"X-Error-Code": "RepoNotFound"})
        if call["revision"] not in (repository.revision, "main"):
            return self.send(404, {"X-Error-Code": "RevisionNotFound"})
        if call.re is RESOLVE:
            content = repository.files.get(call["path"])
            if content is None:
                return self.send(404, {"X-Repo-Commit": repository.revision, "X-Error-Code": "EntryNotFound"})
            headers = {"X-Repo-Commit": repository.revision, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
            return self.send(200, headers, content)
        if call["what"] == "revision":
            files = [{"rfilename": name} for name in repository.files]
            return self.send_json(
                {"id": call["name"].removeprefix("datasets/"), "sha": repository.revision, "siblings": files}
            )
        if call["what"] == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body)["paths"]
            return self.send_json([entry for entry in tree(repository) if entry["path"] in wanted])
        folder = f"{call['path']}/".lstrip("/")
        below = [entry for entry in tree(repository) if entry["path"].startswith(folder)]
        if parse_qs(url.query).get("recursive") != ["true"]:
            below = [entry for entry in below if "/" not in entry["path"].removeprefix(folder)]
        return self.send_json(below) if below else self.send(404, {"X-Error-Code": "EntryNotFound"})

    do_GET = do_HEAD = do_POST = do_CONNECT = answer  # noqa: N815 (http.server's names)

    def send_json(self, value) -> None:
        self.send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def send(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_) -> None:
        """Keep the standard error clean."""


def tree(repository: Repository) -> list[dict]:
    """The files and folders of a repository, as the Hub describes them."""
    folders = {path[: match.start()] for path in repository.files for match in re.finditer("/", path)}
    sizes = {path: len(content) for path, content in repository.files.items()}
    kinds = dict.fromkeys(repository.files, "file") | dict.fromkeys(folders, "directory")
    return [
        {"type": kind, "path": path, "size": sizes.get(path, 0), "oid": hashlib.sha1(path.encode()).hexdigest()}
        for path, kind in kinds.items()
    ]
