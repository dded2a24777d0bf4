"""The images of the later weeks: each still builds and judges, and week 9's log what they do."""

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import test_lambda_image as serverless
from engine import build, docker, needs_engine
from test_images import first_answer, free_port, predict
from walk import copy_week, find_week

pytestmark = needs_engine
SENTENCE = "The boy are sitting on a bench."


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """The folder with a model that any week's image can hold."""
    week = tmp_path_factory.mktemp("trained") / "week"
    copy_week(find_week("9"), week)
    for command in (["train.py", "source=bundled", "training=debug"], ["convert_model_to_onnx.py"]):
        subprocess.run([sys.executable, *command], cwd=week, check=True, capture_output=True)
    return week / "models"


@pytest.fixture
def week(request, models, tmp_path) -> Path:
    """A copy of the week with this number, and with a model."""
    copy_week(find_week(str(request.param)), tmp_path / "week")
    shutil.copytree(models, tmp_path / "week" / "models")
    return tmp_path / "week"


@pytest.fixture
def tag() -> str:
    name = f"cola-later-{uuid.uuid4().hex[:8]}"
    yield name
    docker("image", "rm", "--force", name, check=False)


def events(log: str) -> list[dict]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{") and '"cola"' in line]


@pytest.mark.parametrize("week", [6, 7, 8, 9], indirect=True)
def test_the_service_is_built_and_judges(week, tag):
    build(week, tag)
    name, port = f"{tag}-run", free_port()
    locked = ("--read-only", "--cap-drop", "ALL")
    docker("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8000", *locked, tag)
    try:
        assert first_answer(port)["status"] == "ok"
        (judgement,) = predict(port, [SENTENCE])
        logged = events(docker("logs", name))
    finally:
        docker("rm", "--force", name)
    assert judgement["sentence"] == SENTENCE
    expected = [judgement["score"]] if (week / "events.py").is_file() else []
    assert [event["cola"]["score"] for event in logged] == expected


@pytest.mark.parametrize("week", [9], indirect=True)
def test_the_function_is_built_judges_and_logs(week, tag):
    serverless.build(week, tag)
    with serverless.emulator(tag, *serverless.LOCKED) as (name, url):
        judgement = serverless.ask(url, {"sentence": SENTENCE})
        logged = events(docker("logs", name))
    assert judgement["sentence"] == SENTENCE
    assert [event["cola"]["score"] for event in logged] == [judgement["score"]]
