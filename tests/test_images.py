"""The image of week 5, built and run by a real engine: what is in it, how it starts, stops and is kept small."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine import (
    MEGABYTE,
    ROOT,
    SECRETS,
    STRANGERS,
    build,
    built,
    docker,
    inspect,
    needs_engine,
    predict,
    secrets,
    serving,
    wait_for_health,
)
from walk import copy_week, find_week

pytestmark = needs_engine
SENTENCES = ["The boy is sitting on a bench.", "The boy are sitting on a bench."]
PLANTED = {
    ".git/config": "[remote]\nurl = https://reader:a-password@example.org/\n",
    ".env": "AWS_SECRET_ACCESS_KEY=" + "k" * 40,
    "models/id_rsa": "-----BEGIN PRIVATE KEY-----\n" + "k" * 64,
}


@pytest.fixture(scope="module")
def week(models, tmp_path_factory) -> Path:
    """A copy of the week, with a model, and with things that must not get into an image."""
    week = tmp_path_factory.mktemp("images") / "week"
    copy_week(find_week("5"), week)
    shutil.copytree(models, week / "models")
    for name, text in PLANTED.items():
        (week / name).parent.mkdir(exist_ok=True)
        (week / name).write_text(text)
    return week


@pytest.fixture(scope="module")
def image(week):
    with built(week) as tag:
        yield tag


@pytest.fixture(scope="module")
def container(image):
    with serving(image) as (name, url):
        yield name, url


def test_it_is_small_and_runs_as_nobody_in_particular_without_torch(image):
    assert inspect(image, ".Size") < 400 * MEGABYTE
    script = """import importlib.util as u, os, shutil; import app
print(os.getuid(), [m for m in ("torch", "transformers", "datasets") if u.find_spec(m)], shutil.which("gcc"))"""
    assert docker("run", "--rm", image, "python", "-c", script).split() == ["10001", "[]", "None"]


def test_it_judges_as_outside_and_writes_nothing(container, week):
    name, url = container
    command = [sys.executable, "inference_onnx.py", "--json", *SENTENCES]
    outside = subprocess.run(command, cwd=week, capture_output=True, check=True).stdout.splitlines()
    assert predict(url, SENTENCES) == [json.loads(line) for line in outside]
    assert docker("diff", name) == ""


def test_it_holds_the_largest_batches_in_300_megabytes(container):
    name, url = container
    for _ in range(3):
        predict(url, ["word " * 400] * 64)
    status = docker("exec", name, "cat", "/proc/1/status")
    assert int(re.search(r"VmHWM:\s*(\d+)", status)[1]) * 1024 < 300 * MEGABYTE  # the most it ever held


@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium here: apt-get install chromium")
def test_the_page_shows_the_judgement_of_a_shared_link(container, tmp_path):
    _, url = container
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=9000",
    ]
    command = ["chromium", *options, "--dump-dom", f"{url}/?text=1+%3C+2+%26+%3Cb%3Edogs%3C/b%3E"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "<p>1 &lt; 2 &amp; &lt;b&gt;dogs&lt;/b&gt;</p>" in page  # shown as it was typed
    assert re.search(r"acceptable with probability \d\.\d{3}", page)
    assert "trained on bundled" in page


def test_no_log_holds_a_sentence_and_nothing_is_reported_to_anybody(container):
    logs = docker("logs", container[0])
    assert "Uvicorn running" in logs
    assert "dogs" not in logs
    assert "telemetry" not in logs


def test_docker_stop_is_a_clean_exit_also_while_a_client_idles(image):
    with serving(image) as (name, url):
        with socket.create_connection(url.removeprefix("http://").split(":")) as idle:
            idle.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")  # whose body never comes
            docker("stop", name)
        assert inspect(name, ".State.ExitCode") == 0  # 137: killed, after 10 s


def test_no_layer_holds_a_secret_or_a_stranger(image, tmp_path):
    names, found = secrets(image, tmp_path)
    assert not found
    shipped = {name for name in names if re.match(r"app/.*\.(?!pyc)", name)}
    assert shipped == {f"app/{name}" for name in ("app.py", "inference_onnx.py", "page.html", "models/model.onnx")}
    assert all(STRANGERS.search(name) for name in PLANTED)  # the scan finds what it looks for
    assert all(any(re.search(p, text.encode()) for p in SECRETS.values()) for text in PLANTED.values())


def test_compose_brings_it_up_healthy_and_locked(image, week):
    compose = ("--project-name", image)
    options = {"program": "docker-compose", "cwd": week, "env": os.environ | {"PORT": "0"}}  # 0: any
    docker("tag", image, "cola")
    try:
        docker(*compose, "up", "--detach", "--no-build", **options)
        name = docker(*compose, "ps", "--quiet", **options).strip()
        wait_for_health(name)
        host = inspect(name, ".HostConfig")
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Memory"]) == (True, ["ALL"], 512 << 20)
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
    finally:
        docker(*compose, "down", **options)
        docker("image", "rm", "cola")


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_without_a_whole_model_nothing_is_built(damage, image, week, tmp_path):
    folder = Path(shutil.copytree(week, tmp_path / "week"))
    model = folder / "models/model.onnx"
    half = model.read_bytes()[: model.stat().st_size // 2]
    model.unlink()
    if damage == "truncated":
        model.write_bytes(half)
    assert "model.onnx" in build(folder, f"{image}-{damage}", check=False)
    assert not docker("images", "--quiet", f"{image}-{damage}")


def test_a_change_of_the_page_installs_no_package_anew(image, week, tmp_path):
    """The exercise with page.html, as BuildKit tells it; and that with `docker history`."""
    folder = Path(shutil.copytree(week, tmp_path / "week"))
    with (folder / "page.html").open("a", encoding="utf-8") as page:
        page.write("<!-- changed -->\n")
    said = build(folder, image)
    steps = dict(re.findall(r"(?m)^(#\d+) \[\S+ +\d+/\d+\] (.*)$", said))
    cached = [steps[number] for number in re.findall(r"(?m)^(#\d+) CACHED$", said) if number in steps]
    assert any("pip --python" in step for step in cached)
    assert not any(step.startswith("COPY app.py") for step in cached)
    history = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image)
    largest = max(history.splitlines()[: len(steps)], key=lambda line: int(line.split(" ", 1)[0]))
    assert "COPY /venv" in largest


def test_the_first_dockerfile_of_the_lesson_runs(models, tmp_path):
    """It stands in the README, before what the real one adds."""
    copy_week(find_week("5"), tmp_path / "week")
    shutil.copytree(models, tmp_path / "week/models")
    readme = (ROOT / "week_5_docker/README.md").read_text(encoding="utf-8")
    (first,) = re.findall(r"cat > Dockerfile\.first <<'END'\n(.*?)\n *END\n", readme, re.S)
    (tmp_path / "week/Dockerfile.first").write_text(re.sub("(?m)^ +", "", first))
    with built(tmp_path / "week", "--file", tmp_path / "week/Dockerfile.first") as tag:
        assert "acceptable" in docker("run", "--rm", tag, "python", "inference_onnx.py", SENTENCES[0])
