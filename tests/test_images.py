"""The image of week 5, built and run by a real engine: what is in it, how it starts, stops and is kept small.

Needs a Docker engine that answers, with the image python:3.11-slim or a way to it; is skipped where none does.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import uuid
from pathlib import Path

import pytest

from engine import build, docker, needs_engine

ROOT = Path(__file__).resolve().parent.parent
WEEK = ROOT / "week_5_docker"
MEGABYTE = 1_000_000
PASSWORD = "password in an address"
SECRETS = {
    "AWS access key": rb"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z+/])",
    "AWS secret key": rb"(?i)aws_secret_access_key\s*[=:]\s*['\"]?[0-9a-z/+]{40}",
    "private key": rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[0-9A-Za-z+/]{40}",
    "GitHub token": rb"gh[pousr]_[0-9A-Za-z]{36}",
    "Hugging Face token": rb"(?<![0-9A-Za-z_])hf_[0-9A-Za-z]{34}(?![0-9A-Za-z_])",
    PASSWORD: rb"https?://[^/\s:@'\"{<$]+:[^/\s:@'\"{<$]{6,}@[a-z0-9]",
}
STRANGERS = re.compile(
    r"(^|/)(\.git|\.env|\.dvc|\.aws|\.netrc|credentials|id_rsa|train\.csv|[^/]*\.ckpt)($|/)|^app/tests(/|$)"
)


pytestmark = needs_engine


def copy_of_the_week(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("models", "outputs", "multirun", "reports", "wandb", "__pycache__", ".*_cache")
    return Path(shutil.copytree(WEEK, folder, ignore=ignored))


@pytest.fixture(scope="module")
def week(tmp_path_factory) -> Path:
    """A copy of the week, with a model, and with things that must not get into an image."""
    week = copy_of_the_week(tmp_path_factory.mktemp("images") / "week")
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    for script, *arguments in (["train.py", "source=bundled", "training=debug"], ["convert_model_to_onnx.py"]):
        command = [sys.executable, script, *arguments]
        subprocess.run(command, cwd=week, env=environment, check=True, capture_output=True)
    (week / ".git").mkdir()
    (week / ".git" / "config").write_text("[remote]\nurl = https://reader:a-password@example.org/\n")
    (week / ".env").write_text("AWS_SECRET_ACCESS_KEY=" + "k" * 40)
    (week / "models" / "id_rsa").write_text("-----BEGIN PRIVATE KEY-----\n" + "k" * 64)
    return week


@pytest.fixture(scope="module", params=["classic builder", "BuildKit"])
def image(request, week):
    """The name of the image, from either builder."""
    tag = f"cola-test-{uuid.uuid4().hex[:8]}"
    build(week, tag, buildkit=int(request.param == "BuildKit"))
    yield tag
    docker("image", "rm", "--force", tag)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def first_answer(port: int, seconds: float = 30) -> dict:
    """Wait until the service answers, and return what it says of its health."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"no answer on port {port}")


def predict(port: int, sentences: list[str]) -> list[dict]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict",
        json.dumps({"sentences": sentences}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["predictions"]


@pytest.fixture
def container(image):
    """The service as it should be run: without any right and with nowhere to write."""
    name, port = f"{image}-run", free_port()
    locked = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    started = time.perf_counter()
    docker("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8000", *locked, image)
    try:
        health = first_answer(port)
        yield name, port, health, time.perf_counter() - started
    finally:
        docker("rm", "--force", name)


def inspect(name: str, template: str):
    return json.loads(docker("inspect", "--format", f"{{{{json {template}}}}}", name))


def wait_for_health(name: str, seconds: float = 30) -> None:
    give_up = time.monotonic() + seconds
    while inspect(name, ".State.Health.Status") != "healthy":
        assert time.monotonic() < give_up, inspect(name, ".State.Health")
        time.sleep(0.2)


def test_an_image_is_small_and_runs_as_nobody_in_particular(image):
    assert inspect(image, ".Size") < 400 * MEGABYTE
    user = inspect(image, ".Config.User")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert docker("run", "--rm", image, "id", "-u").strip() == user.split(":")[0]


def test_an_image_holds_neither_compiler_nor_pip_nor_torch(image):
    tools = "for tool in gcc cc g++ clang make pip pip3 git curl; do ! command -v $tool || exit 1; done"
    docker("run", "--rm", image, "sh", "-c", tools)
    script = (
        "import importlib.util as u, sys; import app;"
        "found = [m for m in ('torch', 'transformers', 'datasets', 'pytorch_lightning', 'pip') if u.find_spec(m)];"
        "sys.exit(str(found) if found else 0)"
    )
    docker("run", "--rm", image, "python", "-c", script)


def test_it_starts_in_seconds_without_writing_and_turns_healthy(container, week):
    name, port, health, seconds = container
    assert seconds < 6  # below 3 on an idle machine
    assert health["status"] == "ok"
    assert health["provenance"]["source"] == "bundled"
    sentences = ["The boy is sitting on a bench.", "The boy are sitting on a bench."]
    command = [sys.executable, "inference_onnx.py", "--json", *sentences]
    outside = subprocess.run(command, cwd=week, capture_output=True, check=True).stdout.splitlines()
    assert predict(port, sentences) == [json.loads(line) for line in outside]
    wait_for_health(name)
    assert docker("diff", name) == ""
    assert "touch: cannot" in docker("exec", name, "touch", "/app/a", check=False)


def test_it_reads_its_bytecode(container):
    script = "import app, sys; print([m.__name__ for m in list(sys.modules.values()) if getattr(m, '__cached__', None)"
    script += " and not __import__('os').path.exists(m.__cached__) and not m.__cached__.startswith('/usr/')])"
    assert docker("exec", container[0], "python", "-c", script).strip() == "[]"


def test_memory_stays_below_300_mb_under_the_largest_batches(container):
    name, port, *_ = container
    for _ in range(5):
        predict(port, ["word " * 400] * 64)
    script = "import re; print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/1/status').read())[1])"
    assert int(docker("exec", name, "python", "-c", script)) * 1024 < 300 * MEGABYTE  # the most it ever held


def test_sigterm_stops_it_in_seconds_with_a_clean_exit(container):
    name, port, *_ = container
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")  # whose body never comes
        time.sleep(0.1)
        started = time.perf_counter()
        docker("stop", name)
        assert time.perf_counter() - started < 6  # below 2 on an idle machine; after 10, docker kills it
    assert inspect(name, ".State.ExitCode") == 0


def test_no_log_holds_a_sentence_and_nothing_is_reported_to_anybody(container):
    name, port, *_ = container
    urllib.request.urlopen(f"http://127.0.0.1:{port}/predict?text=confidential", timeout=10).close()
    logs = docker("logs", name)
    assert "Uvicorn running" in logs
    assert "confidential" not in logs
    assert "telemetry" not in logs


def layers(image: str, folder: Path):
    """Name and content of every file in every layer of an image, and of its configuration."""
    archive = folder / "image.tar"
    docker("save", "--output", archive, image)
    with tarfile.open(archive) as outer:
        for member in outer:
            file = outer.extractfile(member)
            if file is None:
                continue
            if not member.name.endswith(".tar"):
                yield member.name, file.read()
                continue
            with tarfile.open(fileobj=file) as layer:
                for inner in layer:
                    content = layer.extractfile(inner) if inner.isfile() else None
                    yield inner.name.removeprefix("./"), content.read() if content else b""


def test_no_layer_holds_a_secret_or_a_stranger(image, tmp_path):
    names = set()
    for name, content in layers(image, tmp_path):
        names.add(name)
        if name.startswith("usr/"):  # of the base image
            continue
        found = {kind for kind, pattern in SECRETS.items() if re.search(pattern, content)}
        if name.startswith("venv/"):
            found.discard(PASSWORD)  # documentation of packages has examples
        assert not found, f"{name}: {found}"
    assert {name for name in names if name.startswith("app/") and not name.endswith((".pyc", "/", "__pycache__"))} == {
        *(f"app/{name}" for name in ("app.py", "errors.py", "inference_onnx.py", "sentences.py", "page.html")),
        *("app/constraints.txt", "app/requirements_inference.txt", "app/models"),
        *("app/models/model.onnx", "app/models/tokenizer.json"),
    }
    assert not [name for name in names if STRANGERS.search(name)]


def test_the_scan_finds_what_it_looks_for(tmp_path):
    for content in (b"AKIA" + b"A" * 16, b"-----BEGIN RSA PRIVATE KEY-----\n" + b"k" * 64, b"hf_" + b"a" * 34):
        assert any(re.search(pattern, content) for pattern in SECRETS.values())
    assert all(map(STRANGERS.search, ("app/.git/config", "app/.env", "root/.aws/credentials", "app/tests/conftest.py")))


def test_compose_brings_it_up_healthy_and_takes_it_down(image, week):
    compose = ("--project-name", f"{image}-compose")
    environment = os.environ | {"PORT": str(free_port())}
    docker("tag", image, "cola")
    try:
        options = {"program": "docker-compose", "cwd": week, "env": environment}
        docker(*compose, "up", "--detach", "--no-build", **options)
        try:
            name = docker(*compose, "ps", "--quiet", **options).strip()
            wait_for_health(name)
            host = inspect(name, ".HostConfig")
            assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
            assert host["SecurityOpt"] == ["no-new-privileges:true"]
            assert predict(int(environment["PORT"]), ["He runs."])[0]["sentence"] == "He runs."
        finally:
            docker(*compose, "down", **options)
        assert docker(*compose, "ps", "--quiet", **options) == ""
    finally:
        docker("image", "rm", "cola")


@pytest.mark.parametrize("buildkit", [0, 1], ids=["classic builder", "BuildKit"])
@pytest.mark.parametrize("damage", ["no folder", "truncated"])
def test_a_build_without_a_whole_model_fails_with_the_cure(buildkit, damage, week, tmp_path):
    folder = copy_of_the_week(tmp_path / "week")
    if damage == "truncated":
        shutil.copytree(week / "models", folder / "models")
        model = folder / "models" / "model.onnx"
        model.write_bytes(model.read_bytes()[:-1000])
    said = build(folder, "cola-test-fails", buildkit, check=False)
    assert 'run "python convert_model_to_onnx.py"' in said
    assert not docker("images", "--quiet", "cola-test-fails")


def test_the_largest_layer_is_that_of_the_packages(image):
    """The exercise with `docker history`."""
    history = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image)
    size, line = max((line.split(" ", 1) for line in history.splitlines()), key=lambda layer: int(layer[0]))
    assert "COPY" in line
    assert "/venv" in line
    assert int(size) < 220 * MEGABYTE


def test_a_change_of_the_page_builds_only_what_comes_after_it(week, tmp_path):
    """The exercise with page.html, as BuildKit tells it."""
    folder = Path(shutil.copytree(week, tmp_path / "week"))
    tag = f"cola-test-{uuid.uuid4().hex[:8]}"
    try:
        build(folder, tag)
        with (folder / "page.html").open("a", encoding="utf-8") as page:
            page.write("<!-- changed -->\n")
        said = build(folder, f"{tag}-again")
    finally:
        docker("image", "rm", "--force", tag, f"{tag}-again", check=False)
    steps = dict(re.findall(r"(?m)^(#\d+) (?:\[\S+(?: +\d+/\d+)?\] )(.*)$", said))
    cached = {steps[step] for step in re.findall(r"(?m)^(#\d+) CACHED$", said)}
    made = set(steps.values()) - cached
    assert any("pip --python" in step for step in cached)
    assert any(step.startswith("COPY page.html model[s]") for step in made)
    assert not any("pip" in step for step in made if step.startswith("RUN"))


def test_a_container_without_a_model_ends_with_the_cure(image):
    run = docker("run", "--rm", "--env", "MODEL=models/other.onnx", image, check=False)
    assert 'models/other.onnx not found: run "python convert_model_to_onnx.py" first' in run
    assert "Traceback" not in run
