"""The pictures of the course: all there, each drawn from its source, small, and readable on any page."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from draw import FONT, digest, draw, styled, target

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "images").glob("*.dot"))
NAMES = {
    *("summary.png", "pl.jpeg", "wandb.png", "hydra.png", "dvc.png", "onnx.jpeg", "docker_flow.png"),
    *("basic_flow.png", "ecr_flow.png", "lambda_flow.png", "kibana_flow.png"),
}


def test_every_picture_of_the_course_is_there_and_has_a_source():
    assert {target(source).name for source in SOURCES} == NAMES
    assert {path.name for path in (ROOT / "images").glob("*.*g")} >= NAMES


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_picture_is_that_of_its_source_and_is_what_its_name_says(source):
    path = target(source)
    with Image.open(path) as image:
        assert image.format == ("JPEG" if path.suffix == ".jpeg" else "PNG")
        kept = image.info["comment"].decode() if image.format == "JPEG" else image.info["source"]
        assert kept == digest(source.read_text(encoding="utf-8")), "run: python images/draw.py"
        assert max(image.size) <= 1500  # more would make the letters too small on a page of 850 pixels
        corners = [image.convert("RGB").getpixel((x, y)) for x in (0, image.width - 1) for y in (0, image.height - 1)]
        assert all(min(colour) > 240 for colour in corners)  # a background of its own, also on a dark page
    assert path.stat().st_size < 150_000


@pytest.mark.skipif(not shutil.which("dot"), reason="no Graphviz here: apt-get install graphviz fonts-lato")
def test_a_source_can_be_drawn_again(tmp_path):
    source = shutil.copy(ROOT / "images" / "dvc.dot", tmp_path)
    with Image.open(draw(Path(source))) as again, Image.open(ROOT / "images" / "dvc.png") as kept:
        assert again.info["source"] == kept.info["source"]


def test_a_text_of_a_source_is_escaped_and_divided():
    source = 'digraph { a [text="R&D|1 < 2"] }'
    assert digest(source) != digest(source.replace("D", "E"))
    drawn = styled(source)
    assert "label=<<b>R&amp;D</b><br/>" in drawn
    assert "1 &lt; 2</font>>" in drawn
    assert FONT in drawn


def test_a_folder_without_a_run_cannot_be_photographed(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "images" / "shoot.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2
    assert "make demo" in done.stderr


def test_the_front_page_shows_the_course():
    assert "](images/summary.png)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_week_shows_a_picture():
    for week in sorted(ROOT.glob("week_*_*")):
        readme = (week / "README.md").read_text(encoding="utf-8")
        shown = re.findall(r"!\[[^\]]+\]\(\.\./images/([\w.]+)\)", readme)
        assert [name for name in shown if name in NAMES], week.name
