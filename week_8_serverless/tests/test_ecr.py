"""Images in ECR, as far as that goes without an engine: the repository's tests/test_registry.py has real pushes."""

import base64
import hashlib
import json
import socket
import threading

import boto3
import pytest

import ecr
from errors import InputError
from stand_ins import ACCOUNT, REGION, answering, aws_fixture, moto_fixture, no_account_fixture  # noqa: F401

MANIFEST = json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + "c" * 64}}).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
TOKEN = base64.b64encode(f"AWS:{ACCOUNT}-auth-token".encode()).decode()


@pytest.fixture
def repository(aws):
    """An empty repository."""
    client = boto3.client("ecr")
    client.create_repository(repositoryName="images")
    yield "images"
    client.delete_repository(repositoryName="images")


@pytest.fixture
def registry(monkeypatch):
    """A registry that lets moto's password in, and has one image, of tag v1."""

    def answer(method, path, headers):
        if headers.get("Authorization") != f"Basic {TOKEN}":
            return 401, {}, b""
        return (200, {}, MANIFEST) if path == "/v2/images/manifests/v1" else (404, {}, b"")

    with answering(answer) as address:
        host = address.removeprefix("http://")
        monkeypatch.setenv("ECR_REGISTRY", host)
        yield host


def test_a_digest_names_the_bytes_of_the_manifest(cli, repository, registry):
    code, output, _ = cli(ecr.main, "digest", "--repository", repository, "--tag", "v1")
    assert (code, output) == (0, f"{registry}/images@{DIGEST}\n")


def test_without_a_stand_in_images_go_where_aws_says(repository):
    target = ecr.registry()
    assert target == (f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com", "AWS", f"{ACCOUNT}-auth-token")


def test_the_password_of_the_real_registry_is_told_to_no_other(cli, registry, monkeypatch):
    code, _, errors = cli(ecr.main, "login")
    assert code == 2
    assert "ECR_REGISTRY goes with AWS_ENDPOINT_URL" in errors


def test_a_registry_that_refuses_is_named_without_the_password(registry):
    with pytest.raises(InputError, match="HTTP Error 401") as error:
        ecr.manifest(ecr.Registry(registry, "AWS", "expired"), "cola", "v1")
    assert "expired" not in str(error.value)


@pytest.mark.parametrize("host", ["http://127.0.0.1:5001", "127.0.0.1:5OO1", "127.0.0.1:5001/"])
def test_a_registry_that_is_no_address_is_told_the_form(cli, repository, monkeypatch, host):
    monkeypatch.setenv("ECR_REGISTRY", host)
    code, _, errors = cli(ecr.main, "digest", "--repository", repository, "--tag", "v1")
    assert code == 2
    assert errors == f"error: ECR_REGISTRY={host}: write it as HOST:PORT, without http://\n"


@pytest.mark.parametrize("page", [b"<html>", b"[]"])
def test_a_page_in_place_of_a_registry_is_told_so(cli, repository, monkeypatch, page):
    with answering(lambda *_: (200, {}, page)) as address:
        monkeypatch.setenv("ECR_REGISTRY", address.removeprefix("http://"))
        code, _, errors = cli(ecr.main, "digest", "--repository", repository, "--tag", "v1")
    assert code == 2
    assert "sends no manifest: see ECR_REGISTRY" in errors


def test_a_page_in_place_of_aws_is_told_so(cli, no_account, monkeypatch):
    with answering(lambda *_: (200, {}, b"<html>")) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        code, _, errors = cli(ecr.main, "login")
    assert code == 2
    assert "ECR: what answers is not AWS" in errors


def test_what_speaks_no_http_is_no_registry(cli, repository, monkeypatch):
    def answer() -> None:
        with server.accept()[0] as connection:
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("ECR_REGISTRY", f"127.0.0.1:{server.getsockname()[1]}")
        code, _, errors = cli(ecr.main, "digest", "--repository", repository, "--tag", "v1")
        thread.join()
    assert code == 2
    assert "no registry; see ECR_REGISTRY" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repository", "images", "--tag", "v2"], "no image has tag v2 in repository images: push it first"),
        (["--repository", "other", "--tag", "v1"], "repository other: DescribeRepositories: The repository with name"),
        (["--repository", "images", "--tag", "a/b"], "'a/b' is no tag"),
        (["--repository", "images", "--tag", ""], "'' is no tag"),
        (["--repository", "C", "--tag", "v1"], "repository C: Parameter validation failed"),
        (["--repository", "", "--tag", "v1"], "--repository is empty: run export $(python stack.py show)"),
    ],
)
def test_a_mistake_is_named_with_its_cure(cli, repository, registry, arguments, message):
    code, output, errors = cli(ecr.main, "digest", *arguments)
    assert (code, output) == (2, "")
    assert message in errors
    assert ACCOUNT not in errors


def test_a_machine_without_docker_is_told_so(cli, repository, registry, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, errors = cli(ecr.main, "push", "cola", "--repository", repository, "--tag", "v1")
    assert code == 2
    assert errors == "error: docker not found: install it, https://docs.docker.com/engine/install/\n"


def test_a_login_to_a_registry_that_is_down_is_told_where_to_look(monkeypatch, tmp_path):
    engine = tmp_path / "docker"
    engine.write_text("#!/bin/sh\necho 'dial tcp 127.0.0.1:5001: connect: connection refused' >&2\nexit 1\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"connection refused: is the registry up\? See ECR_REGISTRY"):
        ecr.login(ecr.Registry("127.0.0.1:5001", "AWS", "password"))


@pytest.mark.parametrize(
    ("image", "refusal", "cure"),
    [
        ("cola", "No such image: cola", 'No such image: cola: build it first, "docker build --tag cola ."; '),
        ("Cola", "invalid reference format", "invalid reference format: Cola is no name of an image; "),
        ("", "", "the image is empty: give its name; "),
    ],
)
def test_an_image_that_is_not_there_is_told_how_to_find_those_that_are(
    cli, repository, monkeypatch, tmp_path, image, refusal, cure
):
    engine = tmp_path / "docker"
    engine.write_text(f"#!/bin/sh\necho '{refusal}' >&2\nexit 1\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, errors = cli(ecr.main, "push", image, "--repository", repository, "--tag", "v1")
    assert code == 2
    assert f'{cure}"docker images" shows what there is' in errors
