"""The ladder tool on a small repository: what it carries, and what it catches."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools/weeks.py"
NAMES = ["week_0_setup", "week_1_logging", "week_2_config", "week_3_dvc"]
MODEL = "".join(f"line {number}\n" for number in range(20))


class Repo:
    """A repository, and the tool run in it."""

    def __init__(self, root: Path):
        self.root = root

    def run(self, *command: str, code: int = 0) -> str:
        identity = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = os.environ | identity | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=self.root, env=env, text=True, capture_output=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def weeks(self, *args: str, code: int = 0) -> str:
        return self.run(sys.executable, "tools/weeks.py", *args, code=code)

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "-")

    def file(self, number: int, path: str) -> Path:
        return self.root / NAMES[number] / path

    def edit(self, number: int, path: str, old: str, new: str) -> None:
        assert old in self.file(number, path).read_text()
        self.file(number, path).write_text(self.file(number, path).read_text().replace(old, new))


@pytest.fixture
def repo(tmp_path):
    """Four weeks: each adds a step; week 1 changes model.py, week 2 removes utils.py, week 3 has a folder."""
    repo = Repo(tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(TOOL, tmp_path / "tools")
    files = {"model.py": MODEL, "utils.py": "help = 1\n", "tests/test_model.py": "def test_model(): pass\n"}
    changes = {0: [], 1: ["model.py"], 2: ["utils.py"], 3: ["aws/"]}
    for number, name in enumerate(NAMES):
        files |= {f"step_{number}.py": "", f"tests/test_{number}.py": f"def test_{number}(): pass\n"}
        if number == 1:
            files["model.py"] = MODEL.replace("line 10\n", "line 10\nlesson\n")
        if number == 2:
            del files["utils.py"]
        if number == 3:
            files |= {"aws/deploy.py": "", "aws/template.yaml": "a: 1\n"}
        rows = "".join(f"| `{path}` | new |\n" for path in [f"step_{number}.py", "tests/", *changes[number]])
        readme = f"# {name}\n\n## What changed\n\n| file | change |\n|---|---|\n{rows}\n## Next\n\n| `none.py` |\n"
        for path, text in {**files, "README.md": readme}.items():
            repo.file(number, path).parent.mkdir(parents=True, exist_ok=True)
            repo.file(number, path).write_text(text)
    repo.run("git", "init", "-q")
    repo.weeks("record", "1", "2", "3")
    repo.commit()
    return repo


def test_a_recorded_ladder_holds(repo):
    assert repo.weeks("check") == "4 weeks: the ladder holds\n"


def test_a_lesson_holds_what_changed_in_files_that_were_there_before(repo):
    lesson = repo.file(1, "lesson.diff").read_text()
    assert repo.weeks("diff", "1") == lesson
    assert [line for line in lesson.splitlines() if line[0] in "+-"] == ["--- a/model.py", "+++ b/model.py", "+lesson"]
    assert repo.file(2, "lesson.diff").read_text() == ""


def test_a_mending_in_week_0_travels_to_the_last_week(repo):
    repo.edit(0, "model.py", "line 2\n", "line two\n")
    repo.file(0, "tests/test_model.py").unlink()
    repo.weeks("forward")
    assert all("line two\n" in repo.file(number, "model.py").read_text() for number in range(4))
    assert not any(repo.file(number, "tests/test_model.py").exists() for number in range(4))
    assert "lesson\n" in repo.file(3, "model.py").read_text()
    repo.weeks("check")


def test_what_was_committed_travels_since_a_revision(repo):
    repo.edit(0, "model.py", "line 9\n", "line nine\n")  # beside the lesson, whose context it is
    repo.commit()
    repo.weeks("forward", "--since", "HEAD~1")
    assert "line nine\n" in repo.file(3, "model.py").read_text()
    repo.weeks("check")


def test_a_change_stops_where_a_week_removed_the_file(repo):
    repo.edit(0, "utils.py", "1", "2")
    repo.weeks("forward")
    assert repo.file(1, "utils.py").read_text() == "help = 2\n"
    assert not repo.file(2, "utils.py").exists()


def test_a_conflict_stops_and_goes_on_after_its_resolution(repo):
    repo.edit(0, "model.py", "line 10\n", "line ten\n")
    repo.edit(1, "model.py", "lesson\n", "a better lesson\n")
    assert "forward --from 1" in repo.weeks("forward", code=1)
    assert "conflict marker" in repo.weeks("check", code=1)
    repo.file(1, "model.py").write_text(MODEL.replace("line 10\n", "line ten\na better lesson\n"))
    repo.weeks("forward", "--from", "1")
    repo.weeks("record", "1")
    repo.weeks("check")
    assert "line ten\na better lesson\n" in repo.file(3, "model.py").read_text()


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("model.py", MODEL, "lesson.diff does not make it"),
        ("new.py", "", "lacks `new.py`"),
        ("step_1.py", None, "lacks `step_1.py`"),
        ("README.md", "## What changed\n| `model.py` `utils.py` `step_2.py` `tests/` |", "names `model.py`"),
        ("step_2.py", "import week_0_setup\n", "leads out of the week"),
        ("step_2.py", "open('../data.csv')\n", "leads out of the week"),
        ("step_2.py", "<<<<<<< \n", "conflict marker"),
    ],
)
def test_what_breaks_the_ladder_is_caught(repo, path, text, said):
    if text is None:
        repo.file(2, path).unlink()
    else:
        repo.file(2, path).write_text(text)
    assert said in repo.weeks("check", code=1)


def test_a_mode_and_a_byte_count(repo):
    repo.file(2, "model.py").chmod(0o755)
    assert "model.py: lesson.diff does not make it" in repo.weeks("check", code=1)
    repo.weeks("record", "2")
    repo.file(3, "model.py").chmod(0o755)
    repo.weeks("check", code=1)  # the table does not name it
    repo.file(2, "model.py").chmod(0o644)
    repo.file(3, "model.py").chmod(0o644)
    repo.file(3, "model.py").write_bytes(repo.file(3, "model.py").read_bytes() + b"\r\n")
    assert "model.py: lesson.diff does not make it" in repo.weeks("check", code=1)


def test_what_git_ignores_is_no_part_of_a_lesson(repo):
    repo.file(2, "cache").write_text("x")
    assert "lacks `cache`" in repo.weeks("check", code=1)
    (repo.root / ".gitignore").write_text("cache\n")
    repo.weeks("check")


def test_the_tests_of_a_week_are_its_new_ones_and_in_the_last_week_all(repo):
    new, everything = repo.weeks("test", "2", "3", "--new").split("== week_3_dvc")
    assert "== week_2_config tests/test_2.py\n" in new
    assert all(f"tests/test_{name}.py" in everything for name in ("model", "0", "1", "2", "3"))
    repo.file(2, "tests/test_2.py").write_text("def test(): assert 1 == 2\n")
    assert "1 failed" in repo.weeks("test", "2", "3", code=1)
