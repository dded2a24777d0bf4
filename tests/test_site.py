"""The site: built without a warning, whole, with no dead link, and each lesson side by side."""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from weeks import weeks_now

ROOT = Path(__file__).resolve().parent.parent
WEEKS = weeks_now()


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", config, "--site-dir", folder]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.parametrize("week", WEEKS, ids=lambda week: week.name)
def test_every_week_has_its_lesson(site, week):
    page = (site / week.name / "index.html").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## (.+)$", week.text("README.md").decode())
    assert re.findall(r"<h2[^>]*>(.+?)<a", page) == headings
    assert "```" not in page  # a fence that was not understood
    assert page.count("<li>") == len(re.findall(r"(?m)^(?:\d\. |- `)", week.text("README.md").decode()))


@pytest.mark.parametrize("week", WEEKS[1:], ids=lambda week: week.name)
def test_what_a_week_changes_is_shown_side_by_side(site, week):
    page = (site / week.name / "difference/index.html").read_text(encoding="utf-8")
    tables = page.split('<table class="diff"')[1:]
    parts = re.split(r"(?m)^diff --git ", week.text("lesson.diff").decode())[1:]
    assert len(tables) == len(parts) > 0
    shown = re.sub(r"\s", "", html.unescape(re.sub(r"<[^>]+>", "", "".join(tables))).replace("\xa0", " "))
    for line in re.findall(r"(?m)^[-+](?!-- a/|\+\+ b/)(.{1,80})$", "".join(parts)):
        assert re.sub(r"\s", "", line) in shown


def test_a_dead_link_in_a_readme_stops_the_building(tmp_path):
    for name in ("week_0_project_setup", "week_1_wandb_logging", "tools", "images"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("README.md", "CONTRIBUTING.md", "LICENSE", "mkdocs.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "README.md").write_text("# The course\n\n[a week](week_0_project_setup/REAMDE.md)\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode == 1
    assert "REAMDE.md" in done.stderr
