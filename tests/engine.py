"""Docker, as the tests of images use it, and what several of them ask of an image.

The builds use the host's network (DOCKER_BUILD_NETWORK=default for the engine's own).
"""

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000
SECRETS = {
    "AWS access key": rb"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z+/])",
    "AWS secret key": rb"(?i)aws_secret_access_key\s*[=:]\s*['\"]?[0-9a-z/+]{40}",
    "private key": rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[0-9A-Za-z+/]{40}",
    "GitHub token": rb"gh[pousr]_[0-9A-Za-z]{36}",
    "Hugging Face token": rb"(?<![0-9A-Za-z_])hf_[0-9A-Za-z]{34}(?![0-9A-Za-z_])",
    "password in an address": rb"https?://[^/\s:@'\"{<$]+:[^/\s:@'\"{<$]{6,}@[a-z0-9]",
}
STRANGERS = re.compile(
    r"(^|/)(\.git|\.env|\.dvc|\.aws|\.netrc|credentials|id_rsa|train\.csv|[^/]*\.ckpt)($|/)|^app/tests(/|$)"
)
OTHERS = re.compile(r"^(venv|packages|var/task/[^/]+)/(?!models/)")  # packages as PyPI has them are not searched


def answers() -> bool:
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


needs_engine = [
    pytest.mark.docker,
    pytest.mark.xdist_group("engine"),  # in one process, which trains one model and builds an image once
    pytest.mark.skipif(not answers(), reason="no Docker engine answers"),
]


def docker(*arguments, check: bool = True, program: str = "docker", **options) -> str:
    """Run docker; returns what it printed, both streams."""
    run = subprocess.run(
        [program, *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    assert run.returncode == 0 or not check, run.stdout
    return run.stdout


def build(folder: Path, tag: str, *options, check: bool = True) -> str:
    network = f"--network={os.environ.get('DOCKER_BUILD_NETWORK', 'host')}"
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    return docker("build", network, "--tag", tag, *options, folder, check=check, env=environment)


@contextmanager
def built(folder: Path, *options) -> Iterator[str]:
    """An image of a folder, until the end of the `with` block."""
    tag = f"cola-test-{uuid.uuid4().hex[:8]}"
    build(folder, tag, *options)
    try:
        yield tag
    finally:
        docker("image", "rm", "--force", tag)


@contextmanager
def serving(image: str, *options) -> Iterator[tuple[str, str]]:
    """The name and the address of a container, as it should be run: without any right, and with nowhere to write."""
    name = f"{image}-{uuid.uuid4().hex[:8]}"
    locked = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "512m")
    docker("run", "--detach", "--name", name, "--publish", "127.0.0.1::8000", *locked, *options, image)
    try:
        wait_for_health(name)
        yield name, f"http://{docker('port', name, '8000').split()[0]}"
    finally:
        docker("rm", "--force", name)


def wait_for_health(name: str, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while inspect(name, ".State.Health.Status") != "healthy":
        assert time.monotonic() < give_up, docker("logs", name)
        time.sleep(0.2)


def inspect(name: str, template: str):
    return json.loads(docker("inspect", "--format", f"{{{{json {template}}}}}", name))


def predict(url: str, sentences: list[str]) -> list[dict]:
    body, headers = json.dumps({"sentences": sentences}).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/predict", body, headers), timeout=60) as answer:
        return json.load(answer)


def layers(image: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file in every layer of an image, and of its configuration."""
    archive = folder / "image.tar"
    docker("save", "--output", archive, image)
    with tarfile.open(archive) as outer:
        for member in outer:
            file = outer.extractfile(member)
            if file is None:
                continue
            whole = tarfile.is_tarfile(file)
            file.seek(0)
            if not whole:  # its configuration, JSON
                yield member.name, file.read()
                continue
            with tarfile.open(fileobj=file) as layer:
                for inner in layer:
                    content = layer.extractfile(inner) if inner.isfile() else None
                    yield inner.name.removeprefix("./"), content.read() if content else b""


def secrets(image: str, folder: Path) -> tuple[set[str], list[str]]:
    """The names of all files in the layers of an image, and what should not be there: secrets, and strangers."""
    names, found = set(), []
    for name, content in layers(image, folder):
        names.add(name)
        if name.startswith(("usr/", "var/lang/", "var/runtime/")):  # of the base image
            continue
        found += [name] * bool(STRANGERS.search(name))
        if not OTHERS.search(name):
            found += [f"{name}: {kind}" for kind, pattern in SECRETS.items() if re.search(pattern, content)]
    return names, found


def lambda_base() -> str:
    """The Python of Lambda's base image: the one that Dockerfile.lambda names, unless only another one is there."""
    dockerfile = next(ROOT.glob("week_8_*/Dockerfile.lambda"))
    (version,) = re.findall(r"^ARG PYTHON=(.+)$", dockerfile.read_text(encoding="utf-8"), re.M)
    there = docker("images", "--format", "{{.Tag}}", "public.ecr.aws/lambda/python", check=False).split()
    return version if version in there or not there else there[0]
