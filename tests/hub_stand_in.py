"""A stand-in for the Hugging Face Hub on this computer: as much of its protocol as its clients need to download.

    with HubStandIn({"google/electra-small-discriminator": Repository(revision, {"config.json": b"{...}"})}) as hub:
        subprocess.run(command, env=os.environ | {"HF_ENDPOINT": hub.url})
    assert hub.requests == ["HEAD /google/electra-small-discriminator/resolve/...", ...]

Its answers have the form of https://huggingface.co's, as `file_download.py` and `hf_api.py` of huggingface_hub expect
it: metadata travels in headers, large files come from another host by redirection, and a 404 says what is missing.
"""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".bin", ".parquet", ".safetensors")  # what the Hub keeps in Git LFS and lets another host send
REPOSITORY = r"(?P<name>(datasets/)?[^/]+/[^/]+)"
RESOLVE = re.compile(rf"/{REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
API = re.compile(rf"/api/(models/)?{REPOSITORY}/(?P<what>revision|tree)/(?P<revision>[^/]+)/?(?P<path>.*)")


class Repository(NamedTuple):
    """A repository with one commit, the head of its branch `main`."""

    revision: str
    files: dict[str, bytes]


class HubStandIn(ThreadingHTTPServer):
    """Serves repositories (the names of data sets begin with `datasets/`) until the end of its `with` block.

    Attributes:
        requests: method and path of every request, in their order.
        breaks_off_in: name of a large file whose transfer always ends in its middle.
    """

    daemon_threads = True

    def __init__(self, repositories: dict[str, Repository], breaks_off_in: str | None = None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.breaks_off_in, self.requests = repositories, breaks_off_in, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "HubStandIn":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        path = unquote(url.path)
        call = RESOLVE.fullmatch(path) or API.fullmatch(path)
        if path == "/":
            self.send(200, {})
        elif call is None:
            self.send(404, {})
        elif (repository := self.server.repositories.get(call["name"])) is None:
            self.send(401, {"X-Error-Code": "RepoNotFound"})  # for the Hub, it might be a private one
        elif call["revision"] not in (repository.revision, "main"):
            self.send(404, {"X-Error-Code": "RevisionNotFound"})
        elif call.re is RESOLVE:
            self.resolve(repository, call["path"])
        elif call["what"] == "revision":
            siblings = [{"rfilename": name} for name in repository.files]
            self.send_json({"id": call["name"], "sha": repository.revision, "siblings": siblings})
        else:
            recursive = parse_qs(url.query).get("recursive") == ["true"]
            folder = f"{call['path']}/".lstrip("/")
            inside = {name.removeprefix(folder): e for name, e in tree(repository).items() if name.startswith(folder)}
            listing = [entry for name, entry in inside.items() if recursive or "/" not in name]
            self.send_json(listing) if listing else self.send(404, {"X-Error-Code": "EntryNotFound"})

    do_GET = do_HEAD = do_CONNECT = answer  # noqa: N815 (http.server's names)

    def resolve(self, repository: Repository, path: str) -> None:
        """Send a file; a large one only to those who ask for it by this server's other name."""
        commit = {"X-Repo-Commit": repository.revision}
        if path not in repository.files:
            return self.send(404, commit | {"X-Error-Code": "EntryNotFound"})
        content, entry = repository.files[path], tree(repository)[path]
        if "lfs" not in entry:
            return self.send(200, commit | {"ETag": f'"{entry["oid"]}"'}, content)
        if not self.headers["Host"].startswith("localhost"):
            location = f"http://localhost:{self.server.server_port}{self.path}"
            linked = {"X-Linked-ETag": f'"{entry["lfs"]["oid"]}"', "X-Linked-Size": str(len(content))}
            return self.send(302, commit | linked | {"Location": location})
        stop_at = len(content) // 2 if path == self.server.breaks_off_in else None
        self.send(200, {"ETag": f'"{entry["lfs"]["oid"]}"'}, content, stop_at)

    def send_json(self, value) -> None:
        self.send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def send(self, status: int, headers: dict[str, str], content: bytes = b"", stop_at: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:stop_at])
        self.close_connection |= stop_at is not None

    def log_message(self, *_) -> None:
        """Keep the standard error clean."""


def tree(repository: Repository) -> dict[str, dict]:
    """The entries of a repository, files and folders, as the Hub describes them."""
    entries = {}
    for path, content in repository.files.items():
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entries[path] = {"type": "file", "oid": blob, "size": len(content), "path": path}
        if path.endswith(LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            entries[path]["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
        while "/" in path:
            path = path.rpartition("/")[0]
            entries[path] = {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}
            entries[path]["path"] = path
    return entries
