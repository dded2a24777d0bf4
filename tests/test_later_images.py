"""The images of the later weeks: each still builds and judges, and week 9's logs what it does."""

import json
import re
import shutil

import pytest

from engine import built, docker, needs_engine, predict, serving
from walk import copy_week, find_week

pytestmark = needs_engine
SENTENCE = "The boy are sitting on a bench."


@pytest.mark.parametrize("number", ["6", "9"])  # those of weeks 7 and 8 are 6's, file for file
def test_the_service_is_built_and_judges(number, models, tmp_path):
    copy_week(find_week(number), tmp_path / "week")
    shutil.copytree(models, tmp_path / "week/models")
    with built(tmp_path / "week") as image, serving(image) as (name, url):
        (judgement,) = predict(url, [SENTENCE])
        lines = docker("logs", name).splitlines()
    assert judgement["sentence"] == SENTENCE
    logged = [json.loads(line)["cola"]["score"] for line in lines if line.startswith("{")]
    assert logged == ([judgement["score"]] if number == "9" else [])


@pytest.mark.parametrize("number", ["7", "8"])
def test_the_image_is_that_of_the_week_before(number):
    week, before = find_week(number), find_week("6")
    copied = re.findall(r"(?m)^!((?!models/).*)$", (before / ".dockerignore").read_text())
    for name in ["Dockerfile", *copied]:
        assert (week / name).read_bytes() == (before / name).read_bytes()
