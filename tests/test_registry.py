"""Week 7's ecr.py with a real engine and a real registry: push, pull by digest, clashes, and a push that breaks off.

The API of AWS is moto's. The registry is the one at REGISTRY (default 127.0.0.1:5001), which lets in whom moto's
password opens, or everybody. Skipped where no engine or no registry answers.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

WEEK = next(Path(__file__).resolve().parent.parent.glob("week_7_*"))
REGISTRY = os.environ.get("REGISTRY", "127.0.0.1:5001")
MEGABYTE = 1_000_000
ACCOUNT = "123456789012"  # moto's


def answers() -> bool:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        return False
    try:
        urllib.request.urlopen(f"http://{REGISTRY}/v2/", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


pytestmark = [pytest.mark.docker, pytest.mark.skipif(not answers(), reason="no Docker engine and registry answer")]


def docker(*arguments: str | Path) -> str:
    run = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of a machine that talks to stand-ins, with a home of its own for docker."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    home = tmp_path_factory.mktemp("docker")
    try:
        yield {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_CONFIG_FILE": os.devnull,
            "ECR_REGISTRY": REGISTRY,
            "DOCKER_CONFIG": str(home),
        }
    finally:
        server.stop()


@pytest.fixture
def repository(environment) -> str:
    """A new repository."""
    name = f"course-test-{uuid.uuid4().hex[:8]}"
    ecr = boto3.client(
        "ecr",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="eu-central-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    return name


@pytest.fixture
def build(tmp_path, repository):
    """Build images of two layers, 2 and 10 MB, that nobody has seen before; removes all that was made of them."""

    def make(name: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        for layer, size in (("one", 2 * MEGABYTE), ("two", 10 * MEGABYTE)):
            (folder / layer).write_bytes(os.urandom(size))
        (folder / "Dockerfile").write_text('FROM scratch\nCOPY one /\nCOPY two /\nCMD ["/one"]\n')
        docker("build", "--quiet", "--tag", f"{repository}/{name}", folder)
        return f"{repository}/{name}"

    yield make
    images = docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}", "--digests")
    for image in images.splitlines():
        if repository in image:
            reference = image.split()[int(":<none>" in image.split()[0])]
            subprocess.run(["docker", "image", "rm", "--force", reference], capture_output=True)


def ecr(environment: dict[str, str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """Run ecr.py; returns stdout and stderr."""
    command = [sys.executable, WEEK / "ecr.py", *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    assert "auth-token" not in run.stdout + run.stderr
    return run.stdout, run.stderr


def push(environment, image, repository, tag="v1", code=0):
    return ecr(environment, "push", image, "--repository", repository, "--tag", tag, code=code)


def test_an_image_comes_back_by_the_digest_that_push_prints(environment, repository, build):
    image = build("cola")
    reference = push(environment, image, repository)[0].splitlines()[-1]
    assert reference.startswith(f"{REGISTRY}/{repository}@sha256:")
    assert ecr(environment, "digest", "--repository", repository, "--tag", "v1")[0] == f"{reference}\n"
    identity = docker("image", "inspect", "--format", "{{.Id}}", image)
    docker("image", "rm", "--force", image, f"{REGISTRY}/{repository}:v1")
    ecr(environment, "login")
    run = subprocess.run(["docker", "pull", reference], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert docker("image", "inspect", "--format", "{{.Id}}", reference) == identity


def test_a_push_leaves_no_password_behind(environment, repository, build):
    config = Path(environment["DOCKER_CONFIG"], "config.json")
    config.unlink(missing_ok=True)
    push(environment, build("cola"), repository)
    assert not config.exists()


def test_pushing_the_same_again_says_the_same_and_sends_nothing(environment, repository, build):
    image = build("cola")
    first = push(environment, image, repository)[0]
    again, progress = push(environment, image, repository)
    assert (again, progress) == (first, "")


def test_a_tag_that_names_another_image_stays_with_it(environment, repository, build):
    first = push(environment, build("cola"), repository)[0]
    _, message = push(environment, build("other"), repository, code=2)
    assert f"tag v1 of repository {repository} names another image" in message
    assert "another --tag" in message
    assert ecr(environment, "digest", "--repository", repository, "--tag", "v1")[0] == first


@contextmanager
def stalling(megabytes: float):
    """A proxy before the registry that stops passing bytes on after so many, until `free` is set.

    Gives its `host`, the events `stalled` and `free`, and `sent`, the bytes that went towards the registry.
    """

    class Proxy:
        sent = 0
        stalled, free = threading.Event(), threading.Event()

    def pump(source: socket.socket, target: socket.socket, upstream: bool) -> None:
        with source, target:
            while chunk := receive(source):
                if upstream:
                    Proxy.sent += len(chunk)
                    if Proxy.sent > megabytes * MEGABYTE and not Proxy.free.is_set():
                        Proxy.stalled.set()
                        Proxy.free.wait()
                try:
                    target.sendall(chunk)
                except OSError:
                    return

    def receive(source: socket.socket) -> bytes:
        try:
            return source.recv(65536)
        except OSError:
            return b""

    def accept(server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:  # closed
                return
            host, port = REGISTRY.rsplit(":", 1)
            far = socket.create_connection((host, int(port)))
            for pair in ((near, far, True), (far, near, False)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        Proxy.host = f"127.0.0.1:{server.getsockname()[1]}"
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        try:
            yield Proxy
        finally:
            Proxy.free.set()
            server.shutdown(socket.SHUT_RDWR)


def test_a_push_that_broke_off_half_way_is_repaired_by_running_it_again(environment, repository, build):
    image = build("cola")
    with stalling(megabytes=9) as proxy:  # of 12
        environment = environment | {"ECR_REGISTRY": proxy.host}
        command = [sys.executable, WEEK / "ecr.py", "push", image, "--repository", repository, "--tag", "v1"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              start_new_session=True) as broken:  # fmt: skip
            assert proxy.stalled.wait(60)
            os.killpg(broken.pid, signal.SIGINT)  # as Ctrl-C in a terminal
            output, message = broken.communicate(timeout=30)
        assert (broken.returncode, output) == (130, "")
        assert "stopped by Ctrl-C: run the same command again" in message
        proxy.sent = 0
        proxy.free.set()
        missing = ecr(environment, "digest", "--repository", repository, "--tag", "v1", code=2)[1]
        assert "no image has tag v1" in missing
        reference = push(environment, image, repository)[0].splitlines()[-1]
    assert reference.startswith(f"{proxy.host}/{repository}@sha256:")
    assert 10 * MEGABYTE < proxy.sent < 12 * MEGABYTE  # the layer that had arrived was not sent again
    assert push(environment | {"ECR_REGISTRY": REGISTRY}, image, repository)[1] == ""


@pytest.mark.parametrize(
    ("variables", "image", "repository_name", "message"),
    [
        (
            {},
            "no-such-image",
            None,
            'build it first, "docker build --tag no-such-image ."',
        ),
        ({}, None, "no-such-repository", 'RepositoryNotFoundException): make it ("python stack.py deploy")'),
        ({"AWS_DEFAULT_REGION": "us-west-2"}, None, None, "is the region right? See AWS_DEFAULT_REGION"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:9"}, None, None, "Is the docker daemon running?: start Docker"),
        (
            {"ECR_REGISTRY": "127.0.0.1:9"},
            None,
            None,
            "registry 127.0.0.1:9: <urlopen error [Errno 111] Connection refused>",
        ),
    ],
)
def test_what_cannot_be_pushed_says_why(environment, repository, build, variables, image, repository_name, message):
    image = image or build("cola")
    _, errors = push(environment | variables, image, repository_name or repository, code=2)
    assert message in errors
    assert ACCOUNT not in errors


def test_a_manifest_is_addressed_by_the_digest_of_its_bytes(environment, repository, build):
    """What ecr.py computes is what the registry answers by."""
    reference = push(environment, build("cola"), repository)[0].splitlines()[-1]
    ecr(environment, "login")
    run = subprocess.run(["docker", "manifest", "inspect", "--insecure", reference], env=environment,
                         capture_output=True, text=True)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert len(json.loads(run.stdout)["layers"]) == 2
