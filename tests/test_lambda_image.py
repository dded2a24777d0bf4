"""The image of week 8 in Lambda's own runtime interface emulator, and behind `sam local`, on a real engine."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import MEGABYTE, ROOT, built, docker, inspect, lambda_base, needs_engine, secrets
from walk import copy_week, find_week

pytestmark = needs_engine
EVENTS = sorted((ROOT / "week_8_serverless/tests/events").glob("*.json"))
DIRECT = (ROOT / "week_8_serverless/tests/events/direct.json").read_text(encoding="utf-8")
# As Lambda runs it: as a user without rights, on a file system that it cannot write but for /tmp.
LOCKED = ("--read-only", "--tmpfs", "/tmp", "--user", "993:990", "--cap-drop", "ALL", "--memory", "512m")


@pytest.fixture(scope="module")
def week(models, tmp_path_factory) -> Path:
    """A copy of the week, with a model that only its owner may read, and with what must not get into an image."""
    week = tmp_path_factory.mktemp("lambda") / "week"
    copy_week(find_week("8"), week)
    shutil.copytree(models, week / "models")
    (week / "models/model.onnx").chmod(0o600)
    (week / ".env").write_text("AWS_SECRET_ACCESS_KEY=" + "k" * 40)
    return week


@pytest.fixture(scope="module")
def image(week):
    with built(week, f"--build-arg=PYTHON={lambda_base()}", "--file", week / "Dockerfile.lambda") as tag:
        yield tag


@pytest.fixture(scope="module")
def expected(week) -> list[dict]:
    """What the model says outside of any image."""
    command = [sys.executable, "inference_onnx.py", "--json", *json.loads(DIRECT)["sentences"]]
    return [json.loads(line) for line in subprocess.check_output(command, cwd=week).splitlines()]


def ask(url: str, body: str | None = None) -> dict:
    with urllib.request.urlopen(url, body and body.encode(), timeout=60) as answer:
        return json.load(answer)


def wait_for(url: str) -> None:
    """Until somebody answers there, be it that there is no such page."""
    give_up = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(url, timeout=60).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            assert time.monotonic() < give_up
            time.sleep(0.1)


@contextmanager
def emulator(image: str, *options):
    name = f"{image}-emulator"
    docker("run", "--detach", "--name", name, "--publish", "127.0.0.1::8080", *LOCKED, *options, image)
    try:
        url = f"http://{docker('port', name, '8080').split()[0]}"
        wait_for(url)
        yield name, f"{url}/2015-03-31/functions/function/invocations"
    finally:
        docker("rm", "--force", name)


def test_it_is_small_and_holds_neither_torch_nor_a_secret(image, tmp_path):
    base = inspect(f"public.ecr.aws/lambda/python:{lambda_base()}", ".Size")
    assert inspect(image, ".Size") - base < 220 * MEGABYTE
    names, found = secrets(image, tmp_path)
    assert not found
    ours = {"app.py", "inference_onnx.py", "lambda_handler.py", "page.html", "models/model.onnx"}
    assert {f"var/task/{name}" for name in ours} <= names
    assert not [name for name in names if name.startswith(("var/task/torch/", "var/task/tests/", "var/task/bundled"))]


def test_every_event_gets_its_answer_in_the_emulator_and_no_log_a_sentence(image, expected):
    with emulator(image) as (name, url):
        for path in EVENTS:
            answer = ask(url, path.read_text(encoding="utf-8"))
            content = json.loads(answer["body"]) if "body" in answer else answer["predictions"]
            assert content == expected, path.name
        assert "errorMessage" in ask(url, '{"Records": []}')
        assert len(ask(url, json.dumps({"sentences": ["word " * 400] * 64}))["predictions"]) == 64  # it fits in 512 MB
        logs = docker("logs", name)
    assert "END RequestId" in logs
    assert "bench" not in logs
    assert "telemetry" not in logs.lower()


def test_a_start_without_the_model_names_it(image):
    with emulator(image, "--env", "MODEL=models/other.onnx") as (name, url):
        with pytest.raises(urllib.error.HTTPError):
            ask(url, DIRECT)
        assert "models/other.onnx" in docker("logs", name)


def sam(command: str, image: str, home: Path, *options) -> subprocess.Popen:
    """`sam local`, which pulls nothing and reports nothing; it asks for an image by its digest, or one that is here."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"SAM_CLI_TELEMETRY": "0", "HOME": str(home), "AWS_DEFAULT_REGION": "us-east-1"}
    template = ("--template", find_week("8") / "aws/template.yaml", "--parameter-overrides", f"Image={image}:latest")
    program = Path(sys.executable).with_name("sam")
    return subprocess.Popen(
        [program, "local", command, *options, *template, "--skip-pull-image"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture
def tagged(image):
    """sam puts its emulator into an image of its own, which goes with this one."""
    yield image
    for each in docker("images", "--quiet", image).split()[1:]:
        docker("image", "rm", "--force", each, check=False)


def test_sam_invokes_it(tagged, expected, tmp_path):
    run = sam("invoke", tagged, tmp_path, "Function", "--event", find_week("8") / "tests/events/direct.json")
    assert json.loads(run.communicate()[0]) == {"predictions": expected}


def test_sam_puts_an_api_before_it(tagged, expected, tmp_path):
    run = sam("start-api", tagged, tmp_path, "--port", "3917")
    try:
        wait_for("http://127.0.0.1:3917")
        assert ask("http://127.0.0.1:3917/health")["status"] == "ok"
        assert ask("http://127.0.0.1:3917/predict?text=The+boy+is+sitting+on+a+bench.") == expected[0]
    finally:
        run.terminate()
        run.wait(30)
