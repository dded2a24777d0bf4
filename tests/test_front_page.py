"""The front page is true: its table names every week, and the lines that each adds and removes."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from pages import changes
from weeks import ladder_now

ROOT = Path(__file__).resolve().parent.parent
WEEKS = ladder_now(ROOT)
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"(?m)^\| \[(\d)\]\((\w+)/README\.md\) \|.*\| ([^|]*) \| ([^|]*) ?\| [\d.]+ \|$", README)


def test_the_badges_are_true():
    badges = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README.split("\nTen folders")[0])
    (workflow,), (versions,), (licence,) = (
        [match for badge in badges for match in re.findall(pattern, badge)]
        for pattern in (r"actions/workflows/(.+)/badge\.svg", r"badge/python-(.+)-blue", r"badge/licence-(.+)-blue")
    )
    jobs = yaml.safe_load((ROOT / ".github/workflows" / workflow).read_text(encoding="utf-8"))["jobs"]
    assert unquote(versions).split("_|_") == jobs["week"]["strategy"]["matrix"]["python"]
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{licence} License")


def test_every_week_has_its_row():
    assert [(int(number), name) for number, name, *_ in ROWS] == [(week.number, week.name) for week in WEEKS.values()]


@pytest.mark.parametrize(("number", "folder", "adds", "lines"), ROWS)
def test_a_row_says_what_the_lesson_adds(number, folder, adds, lines):
    lesson = changes(WEEKS[int(number)].text("lesson.diff").decode())
    counts = f"+{sum(c.added for c in lesson):,} -{sum(c.removed for c in lesson):,}" if lesson else ""
    assert lines.strip() == counts
    for name in re.findall(r"`([^`]+)`", adds):
        assert any(c.verb == "new" and (c.path == name or c.path.startswith(name)) for c in lesson), name
