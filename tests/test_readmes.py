"""Every command block of every week's README is run in a copy of the week, and prints what the README shows."""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from pathlib import Path

import pytest

from walk import NAME_FOR_GIT, ROOT, Block, copy_week, parse, refresh, run, same_shape

WEEKS = sorted(ROOT.glob("week_*_*"))
PORT = "127.0.0.1:8000"  # lessons whose commands use it run one after the other
INSTALL = "python3 -m venv .venv && source .venv/bin/activate\npip install -r requirements.txt\n"  # so each begins
QUOTED = {"python": "*.py", "yaml": "*.y*ml", "dockerfile": "Dockerfile*"}  # a fence's word, and which files it is of


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """A new machine's, without accounts, on which all packages are there already and no network is."""
    unwanted = ("WANDB_", "HF_", "AWS_", "VIRTUAL_ENV", "PYTEST_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    (tmp_path / "home").mkdir()
    return (
        kept
        | NAME_FOR_GIT
        | {
            "HOME": str(tmp_path / "home"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": sysconfig.get_paths()["purelib"],  # a virtual environment that is made here finds them too
            "HF_ENDPOINT": "http://127.0.0.1:9",
        }
    )


def lesson(week: Path):
    commands = "".join(block.commands for block in parse((week / "README.md").read_text(encoding="utf-8")))
    return pytest.param(week, id=week.name, marks=[pytest.mark.xdist_group(PORT)] * (PORT in commands))


@pytest.mark.parametrize("week", [lesson(week) for week in WEEKS])
def test_a_readme_does_what_it_says(week, tmp_path, environment):
    copy = tmp_path / week.name
    copy_week(week, copy)
    readme = (week / "README.md").read_text(encoding="utf-8")
    blocks = parse(readme)
    assert {"Set up", "Run it"} <= {block.section for block in blocks}
    assert blocks[0].commands.startswith(INSTALL)
    if week != WEEKS[-1]:  # which needs what all the others need
        blocks[0].commands = blocks[0].commands.removeprefix(INSTALL)
    outputs = run(blocks, copy, environment=environment)
    for block, output in zip(blocks, outputs, strict=True):
        refresh(block, output)
    if not (copy / ".git").exists():  # else the lesson's own git shows what it leaves behind
        assert unignored(copy) <= unignored(week), "tools/weeks.py would take it for a part of the lesson"


def unignored(folder: Path) -> set[str]:
    """The files that `git add .` would take from a folder, but for what runs leave in reports/."""
    with tempfile.TemporaryDirectory() as empty:
        git = ["git", f"--git-dir={empty}"]
        subprocess.run([*git, "init", "--quiet"], check=True)
        listed = [*git, "--work-tree=.", "ls-files", "--others", "--exclude-standard", "--exclude=reports/"]
        return set(subprocess.check_output(listed, cwd=folder, text=True).splitlines())


@pytest.mark.parametrize("week", WEEKS, ids=lambda week: week.name)
def test_what_a_readme_quotes_stands_in_a_file_of_the_week(week):
    readme = (week / "README.md").read_text(encoding="utf-8")
    for language, quote in re.findall(r"(?ms)^ *```(\w+)\n(.*?)^ *```$", readme):
        lines = [line.strip() for line in textwrap.dedent(quote).splitlines() if line.strip() not in ("", "...")]
        if language in QUOTED:
            files = [*week.rglob(QUOTED[language]), *(ROOT / ".github/workflows").glob(QUOTED[language])]
            assert any(in_this_order(lines, file.read_text(encoding="utf-8")) for file in files), quote


def in_this_order(lines: list[str], text: str) -> bool:
    """Whether these lines are in a text, one after the other, with others between them or not."""
    stripped = iter([line.strip() for line in text.splitlines()])
    return all(line in stripped for line in lines)


def test_a_readme_answers_its_questions_in_the_order_of_the_course():
    order = ["Set up", "Run it", "What changed", "How it works", "Try it", "When it goes wrong", "Go real", "Next"]
    for week in WEEKS:
        readme = (week / "README.md").read_text(encoding="utf-8")
        headings = [line.removeprefix("## ") for line in readme.splitlines() if line.startswith("## ")]
        assert sorted((h for h in headings if h in order), key=order.index) == [h for h in headings if h in order]
        assert readme.splitlines()[0].startswith(f"# Week {week.name.split('_')[1]}: ")


def test_the_front_page_shows_what_week_0_shows():
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = front.split("```text\n$ python inference.py", 1)[1].split("```")[0].splitlines()[1:]
    week_0 = (WEEKS[0] / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(shown) == 2
    assert set(shown) <= set(week_0)


def test_numbers_may_differ_but_scores_only_a_little():
    assert same_shape("epoch 3/15  val/mcc 0.823  2.1 s", "epoch 3/15  val/mcc 0.791  14.9 s")
    assert not same_shape("val/mcc 0.823", "val/mcc 0.123")
    assert not same_shape("a change of 0.100", "a change of -0.100")
    assert not same_shape("best checkpoint", "last checkpoint")


def test_what_is_shown_is_what_is_printed_but_for_dots():
    assert refresh(Block("s", "", 0, "one 1\n...\nthree 3\n"), "one 7\ntwo 2\nthree 9\n") == "one 7\n...\nthree 9\n"
    for shown, printed in (
        ("one\nfour\n", "one\ntwo\n"),
        ("one\n", "one\ntwo\n"),
        ("one\nthree\n", "one\ntwo\nthree\n"),
    ):
        with pytest.raises(LookupError):
            refresh(Block("s", "", 0, shown), printed)


def test_a_command_that_fails_or_fails_to_fail_is_noticed(tmp_path):
    assert run([Block("s", "exit 2\n", 2, "")], tmp_path) == [""]
    for block in (Block("s", "false\ntrue\n", 0, ""), Block("s", "true\n", 2, "")):
        with pytest.raises(RuntimeError, match="does not end with exit code"):
            run([block], tmp_path)
