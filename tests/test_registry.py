"""Week 7's commands with a real engine and a real registry: an image is pushed, and comes back by its digest.

The API of AWS is moto's. The registry is the one at REGISTRY (default 127.0.0.1:5001), which lets in whom moto's
password opens, or everybody. Skipped where no engine or no registry answers.
"""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from engine import docker, needs_engine

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = os.environ.get("REGISTRY", "127.0.0.1:5001")


def registry_answers() -> bool:
    try:
        urllib.request.urlopen(f"http://{REGISTRY}/v2/", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


pytestmark = [*needs_engine, pytest.mark.skipif(not registry_answers(), reason="no registry answers")]


@pytest.fixture
def environment(tmp_path):
    """A machine whose AWS is moto, with a home of its own for docker's passwords."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    server.stop()


def test_the_readmes_commands_push_an_image_that_comes_back_by_its_digest(environment, tmp_path):
    def shell(commands: str) -> str:
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    readme = next(ROOT.glob("week_7_*/README.md")).read_text(encoding="utf-8")
    (commands,) = re.findall(r"^export REGISTRY.*?docker logout \S+", readme, re.M | re.S)
    name = f"course-test-{uuid.uuid4().hex[:8]}"
    commands = re.sub(r"\bcola\b", name, commands).replace("127.0.0.1:5001", REGISTRY)
    (tmp_path / "layer").write_bytes(os.urandom(1000))
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY layer /\n")
    docker("build", "--quiet", "--tag", name, tmp_path)
    image = docker("image", "inspect", "--format", "{{.Id}}", name)
    try:
        pushed = shell(commands)
        (reference,) = re.findall(rf"^{REGISTRY}/{name}@sha256:[0-9a-f]{{64}}$", pushed, re.M)
        assert '"auth":' not in (tmp_path / "docker" / "config.json").read_text(), "logout leaves no password behind"
        docker("image", "rm", name, f"{REGISTRY}/{name}:v1")
        log_in = "\n".join(commands.splitlines()[:2])
        shell(f"{log_in}\ndocker pull --quiet {reference}")
        assert docker("image", "inspect", "--format", "{{.Id}}", reference) == image
    finally:
        for left in docker("images", "--no-trunc", "--quiet", "--filter", f"reference={REGISTRY}/{name}").split():
            docker("image", "rm", "--force", left)
