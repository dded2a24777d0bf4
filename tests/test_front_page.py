"""The front page is true: its badges, and its table of the weeks."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from weeks import covers, weeks_now

ROOT = Path(__file__).resolve().parent.parent
WEEKS = weeks_now()
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"(?m)^\| \[(\d)\]\((\w+)/README\.md\) \|.*\| ([^|]*) \| ([\d,]+) \|$", README)


def test_the_badges_are_true():
    badges = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README.split("\nTen folders")[0])
    (workflow,), (versions,), (licence,) = (
        [match for badge in badges for match in re.findall(pattern, badge)]
        for pattern in (r"actions/workflows/(.+)/badge\.svg", r"badge/python-(.+)-blue", r"badge/licence-(.+)-blue")
    )
    tested = (ROOT / ".github/workflows" / workflow).read_text(encoding="utf-8")
    assert yaml.safe_load(tested)["jobs"]
    assert all(f'"{version}"' in tested for version in unquote(versions).split("_|_"))
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{licence} License")


def test_every_week_has_its_row():
    assert [(int(number), name) for number, name, *_ in ROWS] == [(week.number, week.name) for week in WEEKS]


@pytest.mark.parametrize(("number", "folder", "adds", "lines"), ROWS)
def test_a_row_says_what_a_week_adds_and_how_long_its_code_is(number, folder, adds, lines):
    week, before = WEEKS[int(number)], WEEKS[int(number) - 1].files if int(number) else {}
    for name in re.findall(r"`([^`]+)`", adds):
        assert any(covers(name, path) for path in week.files.keys() - before), name
    code = [text for path, (_, text) in week.files.items() if path.endswith(".py") and not path.startswith("tests/")]
    assert abs(int(lines.replace(",", "")) / sum(text.count(b"\n") for text in code) - 1) < 0.03
