"""Every command block of every week's README is run in a copy of the week, and prints what the README shows."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

from walk import NAME_FOR_GIT, ROOT, Block, copy_week, parse, refresh, run, same_shape

WEEKS = sorted(ROOT.glob("week_*_*"))
PORT = ":8000"  # whose lessons run one after the other


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """A new machine's, without accounts, on which all packages are there already and no network is."""
    unwanted = ("WANDB_", "HF_", "AWS_", "VIRTUAL_ENV", "PYTEST_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
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


def own_way(week: Path):
    marks = [pytest.mark.own_way]
    if PORT in (week / "README.md").read_text(encoding="utf-8"):
        marks.append(pytest.mark.xdist_group(PORT))
    return pytest.param(week, marks=marks, id=week.name)


@pytest.mark.parametrize("week", [own_way(week) for week in WEEKS])
def test_a_readme_does_what_it_says(week, tmp_path, environment):
    copy = tmp_path / week.name
    copy_week(week, copy)
    (tmp_path / "home").mkdir()
    readme = (week / "README.md").read_text(encoding="utf-8")
    blocks = parse(readme)
    assert {"Set up", "Run it"} <= {block.section for block in blocks}
    with FileLock(Path(tempfile.gettempdir(), "port-8000.lock")) if PORT in readme else nullcontext():
        outputs = run(blocks, copy, environment=environment)
    for block, output in zip(blocks, outputs, strict=True):
        refresh(block, output)
    if not (copy / ".git").exists():  # else it was copied out of the course first
        assert unignored(copy) <= unignored(week), "tools/weeks.py would take it for a part of the lesson"


def unignored(folder: Path) -> set[str]:
    """The files that `git add .` would take from a folder, but for what runs leave in reports/."""
    with tempfile.TemporaryDirectory() as empty:
        git = ["git", f"--git-dir={empty}"]
        subprocess.run([*git, "init", "--quiet"], check=True)
        listed = [*git, "--work-tree=.", "ls-files", "--others", "--exclude-standard", "--exclude=reports/"]
        return set(subprocess.check_output(listed, cwd=folder, text=True).splitlines())


def test_what_shares_a_process_is_known_to_the_plugin_that_shares_out(request):
    if "PYTEST_XDIST_WORKER" not in os.environ or not request.config.getoption("loadgroup"):
        pytest.skip("needs -n 2 --dist loadgroup, as make test has it")
    assert request.node.nodeid.endswith(f"@{Path(__file__).name}")


def test_a_readme_answers_its_questions_in_the_order_of_the_course():
    order = ["Set up", "Run it", "What changed", "How it works", "Go real", "Try it", "When it goes wrong", "Next"]
    for week in WEEKS:
        readme = (week / "README.md").read_text(encoding="utf-8")
        headings = [line.removeprefix("## ") for line in readme.splitlines() if line.startswith("## ")]
        assert [h for h in headings if h in order] == [h for h in order if h in headings], week.name
        missing = set(order) - set(headings)
        assert missing <= {"What changed"}, week.name
        assert not missing or week == WEEKS[0]


def test_numbers_may_differ_but_scores_only_a_little():
    assert same_shape("epoch 3/15  val/mcc 0.823  2.1 s", "epoch 3/15  val/mcc 0.791  14.9 s")
    assert same_shape("MCC 0.731 -> 0.729, loss 0.002", "MCC 0.751 -> 0.755, loss -0.004")
    assert not same_shape("val/mcc 0.823", "val/mcc 0.123")
    assert not same_shape("a change of 0.100", "a change of -0.100")
    assert not same_shape("2026-11-24", "2026 11 24")
    assert not same_shape("best checkpoint", "last checkpoint")


def test_what_is_shown_is_what_is_printed_but_for_dots():
    assert refresh(Block("s", "", 0, "one 1\n...\nthree 3\n"), "one 7\ntwo 2\nthree 9\n") == "one 7\n...\nthree 9\n"
    for shown, printed in (
        ("one\nfour\n", "one\ntwo\n"),
        ("one\nthree\n", "one\ntwo\nthree\n"),
        ("one\n", "one\ntwo\n"),
    ):
        with pytest.raises(LookupError):
            refresh(Block("s", "", 0, shown), printed)
    refresh(Block("s", "", 0, "...\ntwo\n...\n"), "one\ntwo\nthree\n")


def test_the_front_page_shows_what_week_0_shows():
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = front.split("```text\n$ python inference.py", 1)[1].split("```")[0].splitlines()[1:]
    blocks = parse((WEEKS[0] / "README.md").read_text(encoding="utf-8"))
    (block,) = (b for b in blocks if b.section == "Run it" and 'inference.py "' in b.commands)
    assert shown == block.output.splitlines()[: len(shown)]
    assert len(shown) == 2


def test_a_block_in_a_list_is_found_too():
    (block,) = parse("## Try it\n\n1. Look:\n\n   ```bash exit=1\n   false\n   ```\n\n   ```text\n   no 1\n   ```\n")
    assert block == Block("Try it", "false\n", 1, "   no 1\n", "   ")
    assert refresh(block, "no 2\n") == "   no 2\n"


def test_each_command_stands_before_its_own_output(tmp_path, capfd):
    block = Block("s", "echo one\nfor i in 1 2\ndo echo $i\ndone\ncat <<E\nhere\nE\necho a \\\n  b && false\n", 1, "")
    block.commands = "printf 0\n" + block.commands
    assert run([block], tmp_path, echo=True) == ["0one\n1\n2\nhere\na b\n"]
    assert capfd.readouterr().out == (
        "\n$ printf 0\n0\n$ echo one\none\n\n$ for i in 1 2\ndo echo $i\ndone\n1\n2\n"
        "\n$ cat <<E\nhere\nE\nhere\n\n$ echo a \\\n  b && false\na b\n"
    )


def test_what_is_no_clone_is_named_with_the_cure(tmp_path):
    with pytest.raises(SystemExit, match="by git clone, not as a ZIP file"):
        copy_week(tmp_path, tmp_path / "copy")


def test_a_command_that_fails_or_fails_to_fail_is_noticed(tmp_path):
    assert run([Block("s", "exit 2\n", 2, "")], tmp_path) == [""]
    for block in (Block("s", "false\ntrue\n", 0, ""), Block("s", "true\n", 2, "")):
        with pytest.raises(RuntimeError, match="does not end with exit code"):
            run([block], tmp_path)
