"""The front page is true: its table names every week, and the lines that each adds and removes."""

import re
from pathlib import Path

import pytest

from pages import changes
from weeks import ladder_now

ROOT = Path(__file__).resolve().parent.parent
WEEKS = ladder_now(ROOT)
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"(?m)^\| \[(\d)\]\((\w+)/README\.md\) \|.*\| ([^|]*) \| ([^|]*) ?\|$", README)


def test_every_week_has_its_row():
    assert [(int(number), name) for number, name, *_ in ROWS] == [(week.number, week.name) for week in WEEKS.values()]


@pytest.mark.parametrize(("number", "folder", "adds", "lines"), ROWS)
def test_a_row_says_what_the_lesson_adds(number, folder, adds, lines):
    lesson = changes(WEEKS[int(number)].text("lesson.diff").decode())
    counts = f"+{sum(c.added for c in lesson):,} -{sum(c.removed for c in lesson):,}" if lesson else ""
    assert lines.strip() == counts
    for name in re.findall(r"`([^`]+)`", adds):
        assert any(c.verb == "new" and (c.path == name or c.path.startswith(name)) for c in lesson), name
