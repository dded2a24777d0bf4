"""A stand-in of Google: a folder on this disk as a folder of Google Drive, and the tokens of a service account.

    with google(folder, tmp_path) as server:
        subprocess.run(["dvc", "pull"], env=os.environ | server.environment)    # gdrive://FOLDER_ID

It is reached as Google is, by https, through a proxy that the environment names and with certificates of its own, so
that all of DVC's and Google's own code runs. It reads only, and refuses requests without a token that it gave.
"""

import base64
import datetime
import hashlib
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

FOLDER_ID = "folder-of-the-models"
EMAIL = "cola-ci@project.iam.gserviceaccount.com"
HOSTS = ("www.googleapis.com", "oauth2.googleapis.com")
FOLDER_TYPE = "application/vnd.google-apps.folder"


class Google(ThreadingHTTPServer):
    """Serves `folder`, which `shared` says is shared with the service account; `tokens` are those that are valid."""

    def __init__(self, folder: Path, certificates: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.shared, self.requests = folder, True, []
        self.key = rsa.generate_private_key(65537, 2048)
        self.free_token = "a-token-without-a-key"  # what the exchange of GitHub's token for one of Google's gives
        self.tokens = {self.free_token}
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.json_key = json.dumps(
            {
                "type": "service_account",
                "client_email": EMAIL,
                "client_id": "1",
                "private_key_id": "1",
                "private_key": pem.decode(),
                "token_uri": f"https://{HOSTS[1]}/token",
            }
        )
        chain = certificates / "google.pem"
        chain.write_bytes(pem + self.certificate().public_bytes(serialization.Encoding.PEM))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(chain)
        proxy = "http://127.0.0.1:{1}".format(*self.server_address)
        trusted = dict.fromkeys(("HTTPLIB2_CA_CERTS", "REQUESTS_CA_BUNDLE"), str(chain))
        self.environment = trusted | {"https_proxy": proxy, "no_proxy": ""}

    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a stand-in")])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(
            name, name, self.key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
        return builder.add_extension(names, critical=False).sign(self.key, hashes.SHA256())

    def token(self, assertion: str) -> str | None:
        """A token for a signed statement, or None where our key did not sign it."""
        signed, signature = assertion.rsplit(".", 1)
        try:
            self.key.public_key().verify(unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return None
        claims = json.loads(unpadded(signed.split(".")[1]))
        assert (claims["iss"], claims["scope"]) == (EMAIL, "https://www.googleapis.com/auth/drive.readonly")
        self.tokens.add("a-token-for-the-key")
        return "a-token-for-the-key"

    def items(self) -> Iterator[dict]:
        """All that lies in the folder, as the Drive API describes it."""
        for path in sorted(self.folder.rglob("*")):
            content = b"" if path.is_dir() else path.read_bytes()
            yield {
                "id": identity(self.folder, path),
                "title": path.name,
                "path": path,
                "parents": [{"id": identity(self.folder, path.parent)}],
                "mimeType": FOLDER_TYPE if path.is_dir() else "application/octet-stream",
                "fileSize": str(len(content)),
                "md5Checksum": hashlib.md5(content).hexdigest(),
            }


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def identity(folder: Path, path: Path) -> str:
    inside = path.relative_to(folder).as_posix()
    return FOLDER_ID if path == folder else hashlib.sha256(inside.encode()).hexdigest()[:20]


class Handler(BaseHTTPRequestHandler):
    server: Google
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        """The proxy: from here on this connection is one to a host of Google's."""
        assert self.path in {f"{host}:443" for host in HOSTS}, self.path
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def answer(self, status: int, content: dict | bytes) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content, default=str).encode()
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        token = self.server.token(body["assertion"][0]) if self.path == "/token" else None
        if token:
            self.answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
        else:
            self.answer(400, {"error": "invalid_grant"})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.server.requests.append(url.path)
        items = {item["id"]: item for item in self.server.items()} if self.server.shared else {}
        items |= {FOLDER_ID: {"id": FOLDER_ID, "mimeType": FOLDER_TYPE}} if self.server.shared else {}
        wanted = re.fullmatch(r"/drive/v2/files(?:/([\w-]+))?", url.path)
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.server.tokens:
            self.answer(401, {"error": {"code": 401, "message": "Invalid Credentials", "errors": []}})
        elif wanted and not wanted[1]:
            parents = re.findall(r"'([\w-]+)' in parents", query["q"])
            titles = re.findall(r"title='([^']*)'", query["q"])
            inside = [item for item in items.values() if "parents" in item and item["parents"][0]["id"] in parents]
            self.answer(200, {"items": [item for item in inside if item["title"] in (titles or [item["title"]])]})
        elif wanted and wanted[1] in items:
            item = items[wanted[1]]
            self.answer(200, item["path"].read_bytes() if query.get("alt") == "media" else item)
        else:
            self.answer(404, {"error": {"code": 404, "message": "File not found", "errors": []}})

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the one by TLS; the server knows only the one below it

    def log_message(self, *_) -> None:
        """Nothing: the tests read the streams."""


@contextmanager
def google(folder: Path, certificates: Path) -> Iterator[Google]:
    """The stand-in, answering until the end of the block."""
    with Google(folder, certificates) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
