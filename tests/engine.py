"""Docker, as the tests of images use it.

The builds use the host's network (DOCKER_BUILD_NETWORK=default for the engine's own).
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest


def answers() -> bool:
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


needs_engine = [pytest.mark.docker, pytest.mark.skipif(not answers(), reason="no Docker engine answers")]


def docker(*arguments, check: bool = True, program: str = "docker", **options) -> str:
    """Run docker; returns what it printed, both streams."""
    run = subprocess.run(
        [program, *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    assert run.returncode == 0 or not check, run.stdout
    return run.stdout


def build(folder: Path, tag: str, buildkit: int = 1, check: bool = True) -> str:
    network = f"--network={os.environ.get('DOCKER_BUILD_NETWORK', 'host')}"
    environment = os.environ | {"DOCKER_BUILDKIT": str(buildkit)}
    return docker("build", "--force-rm", network, "-t", tag, folder, check=check, env=environment)


def lambda_base() -> str:
    """The Python of Lambda's base image: the one that Dockerfile.lambda names, unless only another one is there."""
    dockerfile = next(Path(__file__).resolve().parent.parent.glob("week_8_*/Dockerfile.lambda"))
    (version,) = re.findall(r"^ARG PYTHON=(.+)$", dockerfile.read_text(encoding="utf-8"), re.M)
    there = docker("images", "--format", "{{.Tag}}", "public.ecr.aws/lambda/python", check=False).split()
    return version if version in there or not there else there[0]
