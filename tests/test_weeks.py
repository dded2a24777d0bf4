"""The ladder tool on scratch repositories: what it carries, what it catches, what it says.

python -m pytest tests/test_weeks.py
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "weeks.py"
TOPICS = ["setup", "logging", "config", "dvc", "onnx", "docker", "actions", "ecr", "serverless", "monitoring"]
NAMES = [f"week_{number}_{topic}" for number, topic in enumerate(TOPICS)]
MODEL = "".join(f"line {number}\n" for number in range(20))
PNG = b"\x89PNG\0\1\2\3"


class Repo:
    """A scratch repository and the tool run in it."""

    def __init__(self, root: Path, home: Path):
        identity = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "XDG_", "PYTEST"))}
        self.root, self.env = (
            root,
            plain | identity | {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )

    def git(self, *args: str) -> str:
        return subprocess.run(
            ["git", *args], cwd=self.root, env=self.env, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def weeks(self, *args: str, code: int = 0, folder: str = ".") -> str:
        """Run the tool, check its exit code and return all that it printed."""
        done = subprocess.run(
            [sys.executable, str(TOOL), *args],
            cwd=self.root / folder,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def file(self, number: int, path: str) -> Path:
        return self.root / NAMES[number] / path

    def edit(self, number: int, path: str, old: str, new: str) -> None:
        file = self.file(number, path)
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "-")


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """Ten weeks. Each adds step_N.py; week 1 changes model.py, week 3 adds configs, week 5 removes utils.py."""
    repo = Repo(tmp_path_factory.mktemp("template"), tmp_path_factory.mktemp("home"))
    repo.git("init", "-q")
    (repo.root / ".gitattributes").write_text("* -text\n")  # or a checkout under core.autocrlf rewrites every file
    files = {"model.py": MODEL, "data.py": MODEL, "utils.py": "help = 1\n", "configs/a.yaml": "a: 1\n"}
    rows = {1: ["model.py"], 3: ["configs/"], 5: ["utils.py"]}
    for number, name in enumerate(NAMES):
        if number:
            files[f"step_{number}.py"] = f"step = {number}\n"
        if number == 1:
            files["model.py"] = MODEL.replace("line 10\n", "line 10\nlesson\n")
        if number == 3:
            files |= {"configs/b.yaml": "b: 2\n", "configs/deep/c.yaml": "c: 3\n"}
        if number == 5:
            del files["utils.py"]
        table = "".join(f"| `{path}` | explained |\n" for path in [f"step_{number}.py", *rows.get(number, [])])
        readme = f"# {name}\n\n## What changed\n\n| File | Why |\n|---|---|\n{table}\n## Next\n\n| `none.py` |\n"
        for path, text in {**files, "README.md": readme}.items():
            repo.file(number, path).parent.mkdir(parents=True, exist_ok=True)
            repo.file(number, path).write_text(text)
    repo.weeks("record", *map(str, range(1, 10)))
    repo.commit()
    return repo.root


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> Repo:
    (tmp_path / "home").mkdir()
    return Repo(shutil.copytree(template, tmp_path / "repo"), tmp_path / "home")


def test_a_recorded_ladder_holds(repo):
    assert repo.weeks("check") == "10 weeks: the ladder holds\n"
    assert repo.weeks("check", folder=NAMES[3] + "/configs") == "10 weeks: the ladder holds\n"


def test_diff_prints_the_lesson_with_its_counts(repo):
    printed = repo.weeks("diff", "1")
    assert printed.startswith("week_0_setup -> week_1_logging\n  +1 -0 model.py\n  +1 -0 step_1.py\n")
    assert printed.endswith(repo.file(1, "lesson.diff").read_text())
    assert "\nindex " not in printed


def test_a_fix_in_week_0_travels_to_the_last_week(repo):
    repo.edit(0, "model.py", "line 2\n", "line two\n")
    repo.weeks("forward")
    assert all("line two\n" in repo.file(number, "model.py").read_text() for number in range(10))
    assert "lesson\n" in repo.file(9, "model.py").read_text()
    repo.weeks("check")


def test_a_fix_in_a_middle_week_leaves_the_earlier_ones_alone(repo):
    repo.edit(4, "data.py", "line 2\n", "line two\n")
    repo.weeks("forward")
    assert repo.git("diff", "--name-only").split() == [f"{name}/data.py" for name in NAMES[4:]]


def test_forward_since_a_revision_carries_what_was_committed(repo):
    repo.edit(0, "data.py", "line 2\n", "line two\n")
    repo.commit()
    assert "data.py" not in repo.weeks("forward")
    repo.weeks("forward", "--since", "HEAD~1")
    assert "line two" in repo.file(9, "data.py").read_text()
    repo.weeks("check")


def test_readme_and_lesson_are_not_carried(repo):
    repo.edit(0, "README.md", "# week_0", "# WEEK 0")
    repo.weeks("forward")
    assert repo.git("diff", "--name-only").split() == [f"{NAMES[0]}/README.md"]


def test_added_deleted_binary_and_executable_files_travel(repo):
    repo.file(0, "deep/new.py").parent.mkdir()
    repo.file(0, "deep/new.py").write_text("new = 1\n")
    repo.file(0, "logo.png").write_bytes(PNG)
    repo.file(0, "model.py").chmod(0o755)
    repo.file(0, "configs/a.yaml").unlink()
    repo.weeks("forward")
    for number in range(10):
        assert repo.file(number, "deep/new.py").read_text() == "new = 1\n"
        assert repo.file(number, "logo.png").read_bytes() == PNG
        assert os.access(repo.file(number, "model.py"), os.X_OK)
        assert not repo.file(number, "configs/a.yaml").exists()
    repo.weeks("check")


def test_the_change_stops_where_a_week_removed_the_file(repo):
    repo.edit(0, "utils.py", "help = 1", "help = 2")
    printed = repo.weeks("forward")
    assert "week_5_docker/utils.py: week_5_docker removed this file; the change stops here\n" in printed
    assert repo.file(4, "utils.py").read_text() == "help = 2\n"
    assert not repo.file(5, "utils.py").exists()
    repo.weeks("check")  # the lesson is still that the file goes


def test_a_conflict_stops_and_after_its_resolution_forward_goes_on(repo):
    repo.edit(3, "data.py", "line 5\n", "line 5, week 3\n")  # a lesson of week 3
    repo.edit(3, "README.md", "| `step_3.py`", "| `data.py` | lesson |\n| `step_3.py`")
    repo.weeks("forward")
    repo.weeks("record", "3")
    repo.weeks("check")
    repo.commit()

    repo.edit(0, "data.py", "line 5\n", "line five\n")
    printed = repo.weeks("forward", code=1)
    assert "week_3_dvc/data.py: conflict" in printed
    assert "python tools/weeks.py forward --from 3\n" in printed
    text = repo.file(3, "data.py").read_text()
    assert "<<<<<<< week_3_dvc/data.py\nline 5, week 3\n=======\nline five\n>>>>>>> week_2_config/data.py\n" in text
    assert "line five\n" in repo.file(2, "data.py").read_text()
    assert "five" not in repo.file(4, "data.py").read_text()
    assert "week_3_dvc/data.py:6: conflict marker." in repo.weeks("check", code=1)
    repo.weeks("forward", "--from", "3", code=1)  # not resolved yet: markers do not travel
    assert "five" not in repo.file(4, "data.py").read_text()

    start, end = text.index("<<<<<<<"), text.index("week_2_config/data.py\n") + len("week_2_config/data.py\n")
    repo.file(3, "data.py").write_text(text[:start] + "line five, week 3\n" + text[end:])
    printed = repo.weeks("forward", "--from", "3")
    assert "line five, week 3\n" in repo.file(9, "data.py").read_text()
    assert "week_3_dvc: its lesson has changed" in printed
    assert "week_3_dvc/data.py: differs" in repo.weeks("check", code=1)
    repo.weeks("record", "3")
    repo.weeks("check")


def test_markers_left_by_git_in_the_first_week_do_not_travel(repo):
    repo.edit(0, "data.py", "line 5\n", "<<<<<<< HEAD\nline 5\n=======\nline V\n>>>>>>> branch\n")
    assert "stopped at week_0_setup: resolve the conflicts" in repo.weeks("forward", code=1)
    assert repo.file(1, "data.py").read_text() == MODEL


def test_a_file_deleted_below_but_changed_above_is_a_conflict(repo):
    repo.file(0, "model.py").unlink()
    assert "week_1_logging/model.py: conflict: week_0_setup deleted" in repo.weeks("forward", code=1)
    assert repo.weeks("forward", "--since", "HEAD~0", code=1).endswith(" forward --from 1 --since HEAD~0\n")
    assert "lesson" in repo.file(1, "model.py").read_text()


def test_a_binary_file_changed_on_both_sides_is_a_conflict(repo):
    repo.file(0, "logo.png").write_bytes(PNG)
    repo.weeks("forward")
    repo.commit()
    repo.file(0, "logo.png").write_bytes(PNG + b"0")
    repo.file(1, "logo.png").write_bytes(PNG + b"1")
    assert "week_1_logging/logo.png: conflict: a binary file" in repo.weeks("forward", code=1)
    assert repo.file(1, "logo.png").read_bytes() == PNG + b"1"


def test_a_changed_binary_and_a_changed_mode_can_be_lessons(repo):
    repo.file(3, "logo.png").write_bytes(PNG)
    repo.file(3, "empty").touch()
    repo.file(3, "data.py").chmod(0o755)
    repo.weeks("forward")
    repo.commit()
    repo.file(4, "logo.png").write_bytes(PNG[::-1])
    repo.weeks("forward")
    repo.weeks("record", "3", "4")
    printed = repo.weeks("check", code=1)
    assert "differs" not in printed  # only the tables lack the new rows
    assert printed.count("lacks `logo.png`") == 2


def test_an_edit_smuggled_into_one_week_is_caught(repo):
    repo.edit(4, "data.py", "line 5\n", "line V\n")
    assert (
        "week_4_onnx/data.py: differs from week_3_dvc/data.py in a way lesson.diff does not teach.\n"
        "  a fix?    edit the first week that has the mistake, then: python tools/weeks.py forward\n"
        "  a lesson? explain it in week_4_onnx/README.md, then:      python tools/weeks.py record 4\n"
    ) in repo.weeks("check", code=1)


def test_an_edit_in_the_context_of_a_lesson_accuses_no_other_file(repo):
    repo.edit(0, "model.py", "line 10\n", "line X\n")
    found = [line for line in repo.weeks("check", code=1).splitlines() if not line.startswith(" ")]
    assert found == [
        "week_1_logging/lesson.diff: does not apply to week_0_setup.",
        "week_1_logging/model.py: differs from week_0_setup/model.py in a way lesson.diff does not teach.",
    ]


def test_a_file_that_a_lesson_renames_is_one_deleted_and_one_added(repo):
    repo.file(9, "data.py").rename(repo.file(9, "dataset.py"))
    repo.edit(9, "README.md", "| `step_9.py`", "| `data.py` and `dataset.py` | renamed |\n| `step_9.py`")
    assert "  +0 -20 data.py\n  +20 -0 dataset.py\n" in repo.weeks("record", "9")
    repo.weeks("check")


def test_every_byte_and_mode_counts(repo):
    repo.file(9, "data.py").chmod(0o755)
    repo.file(9, "model.py").write_text(repo.file(9, "model.py").read_text() + "\n")
    repo.file(9, "step_8.py").write_bytes(b"step = 8\r\n")
    repo.file(9, "step_9.py").write_text("step = 9")
    repo.file(9, "configs/a.yaml").unlink()
    found = [line.split(":")[0] for line in repo.weeks("check", code=1).splitlines() if "differs" in line]
    spoilt = ["configs/a.yaml", "data.py", "model.py", "step_8.py", "step_9.py"]
    assert found == [f"{NAMES[9]}/{path}" for path in spoilt]


def test_a_lesson_that_is_missing_or_broken_is_caught(repo):
    repo.file(2, "lesson.diff").unlink()
    for number, lesson in {4: "", 6: "\n", 8: "nonsense\n"}.items():
        repo.file(number, "lesson.diff").write_text(lesson)
    printed = repo.weeks("check", code=1)
    for number in (2, 4):
        assert f"{NAMES[number]}/lesson.diff: missing or empty, but the week differs from" in printed
    for number in (6, 8):
        assert f"{NAMES[number]}/lesson.diff: does not apply to {NAMES[number - 1]}.\n" in printed
        assert f"{NAMES[number]}/step_{number}.py: differs" in printed
    repo.weeks("record", "2", "4", "6", "8")
    repo.weeks("check")


def test_a_week_that_changes_nothing_needs_no_lesson(repo):
    shutil.copytree(repo.file(9, "."), repo.root / "week_10_nothing")
    (repo.root / "week_10_nothing" / "lesson.diff").unlink()
    (repo.root / "week_10_nothing" / "README.md").write_text("# Nothing new\n")
    assert repo.weeks("check") == "11 weeks: the ladder holds\n"


def test_a_lesson_that_the_week_before_has_already_is_caught(repo):
    repo.file(0, "model.py").write_bytes(repo.file(1, "model.py").read_bytes())
    assert "week_1_logging/lesson.diff: does not apply" in repo.weeks("check", code=1)


def test_ignored_files_do_not_count_and_new_ones_do(repo):
    repo.file(0, ".gitignore").write_text("*.log\n")
    repo.file(0, "run.log").write_text("noise")
    repo.weeks("forward")
    assert not repo.file(1, "run.log").exists()
    repo.file(7, "run.log").write_text("noise")
    repo.file(7, "reports").mkdir()
    repo.file(7, "reports/metrics.json").write_text("of a run")
    repo.weeks("check")
    repo.file(7, "stray.txt").write_text("noise")
    assert "week_7_ecr/stray.txt: differs" in repo.weeks("check", code=1)


def test_a_lesson_whose_context_moved_is_refreshed(repo):
    before = repo.file(1, "lesson.diff").read_text()
    repo.edit(0, "model.py", "line 9\n", "line nine\n")  # next to the lesson of week 1, and in its context
    repo.edit(0, "model.py", "line 0\n", "line 0\nline 0b\n")
    assert "week_1_logging/lesson.diff: refreshed" in repo.weeks("forward")
    after = repo.file(1, "lesson.diff").read_text()
    assert after != before
    assert "\n line nine\n" in after
    repo.weeks("check")


def test_a_changed_lesson_is_not_recorded_unless_named(repo):
    before = repo.file(1, "lesson.diff").read_text()
    repo.edit(1, "model.py", "lesson\n", "another lesson\n")
    printed = repo.weeks("forward")
    assert "week_1_logging: its lesson has changed" in printed
    assert "record 1\n" in printed
    assert repo.file(1, "lesson.diff").read_text() == before
    assert "week_1_logging/model.py: differs" in repo.weeks("check", code=1)
    assert "+1 -0 model.py" in repo.weeks("record", "1")
    assert "+another lesson\n" in repo.file(1, "lesson.diff").read_text()
    repo.weeks("check")


def test_record_leaves_other_weeks_alone(repo):
    repo.edit(2, "data.py", "line 5\n", "line V\n")
    repo.edit(6, "data.py", "line 5\n", "line VI\n")
    repo.weeks("record", "6")
    assert repo.git("diff", "--name-only", "*/lesson.diff").split() == [f"{NAMES[6]}/lesson.diff"]


def test_a_second_fix_of_the_same_line_before_a_commit(repo):
    repo.edit(0, "data.py", "line 5\n", "line V\n")
    repo.weeks("forward")
    repo.git("add", "-A")
    repo.edit(0, "data.py", "line V\n", "line five\n")
    repo.weeks("forward", "--since", repo.git("write-tree").strip())
    assert "line five\n" in repo.file(9, "data.py").read_text()
    repo.weeks("check")


def test_a_hostile_git_configuration_changes_nothing(repo, tmp_path):
    def run():
        repo.edit(0, "model.py", "line 9\n", "line nine\n")
        repo.file(0, "caf\u00e9.txt").write_text("new \n")
        printed = [repo.weeks("forward"), repo.weeks("diff", "1"), repo.weeks("record", "1"), repo.weeks("check")]
        state = {path: path.read_bytes() for path in sorted(repo.root.glob("week_*/**/*")) if path.is_file()}
        repo.git("checkout", "-q", ".")
        repo.git("clean", "-qfd")
        return printed, state

    expected = run()
    (tmp_path / "home" / ".config" / "git").mkdir(parents=True)
    (tmp_path / "home" / ".config" / "git" / "attributes").write_text("* -diff text eol=crlf\n")
    (tmp_path / "home" / ".gitconfig").write_text("""
        [core]
            autocrlf = true
            whitespace = trailing-space
        [diff]
            noprefix = true
            mnemonicPrefix = true
            external = false
            context = 0
            renames = copies
            algorithm = patience
            orderFile = /nonexistent
        [color]
            ui = always
        [merge]
            conflictStyle = diff3
        [apply]
            whitespace = error
        """)
    repo.env |= {
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_DIFF_OPTS": "--unified=0",
        "LANG": "de_DE.UTF-8",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "diff.noprefix",
        "GIT_CONFIG_VALUE_0": "true",
    }
    assert run() == expected


@pytest.mark.parametrize("folder", ["tmp", "tmp/deep"])
def test_a_temporary_folder_inside_some_repository_changes_nothing(repo, tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path / "tmp")], check=True)
    repo.env["TMPDIR"] = str(tmp_path / folder)
    repo.edit(4, "data.py", "line 5\n", "line V\n")
    assert "week_4_onnx/data.py: differs" in repo.weeks("check", code=1)
    assert "+1 -0 step_4.py" in repo.weeks("record", "4")
    repo.edit(3, "README.md", "`configs/`", "`other/`")
    assert "lacks `configs/b.yaml`" in repo.weeks("check", code=1)


def test_a_table_must_name_exactly_the_files_of_the_lesson(repo):
    repo.edit(3, "README.md", "| `step_3.py` | explained |\n", "| `ghost.py` | boo |\n| `ghosts/` | boo |\n")
    printed = repo.weeks("check", code=1)
    table = 'week_3_dvc/README.md: the table under "## What changed"'
    assert f"{table} lacks `step_3.py`, which lesson.diff changes.\n  add a row" in printed
    assert f"{table} names `ghost.py`, which lesson.diff does not change.\n  take it out" in printed
    assert f"{table} names `ghosts/`" in printed
    assert printed.count("week_3_dvc/README.md") == 3  # the folder row covers its tree; none.py is in another section


def test_a_missing_table_is_caught(repo):
    repo.edit(2, "README.md", "## What changed", "## Something else")
    assert "lacks `step_2.py`" in repo.weeks("check", code=1)


def test_what_reaches_outside_a_week_is_caught(repo):
    out = "leads out of the week."
    offences = {
        "a.py": ("<<<<<<< ours\n", "a.py:1: conflict marker."),
        "README.md": ("text\n>>>>>>> theirs\n", "README.md:2: conflict marker."),
        "b.py": ("x = 1\nopen('../week_0_setup/data.py')\n", f"b.py:2: a ../ path {out}"),
        "configs/a.yaml": ("inside: ../data\noutside: ../../data\n", f"configs/a.yaml:2: a ../ path {out}"),
        "notes.md": ("[next](../week_1_logging/README.md)\n", f"notes.md:1: a ../ path {out}"),
        "c.py": ("import os\nimport week_0_setup.data\n", f"c.py:2: the import of week_0_setup.data {out}"),
        "d.py": ("def f():\n    from tools import weeks\n", f"d.py:2: the import of tools {out}"),
        "e.py": ("from .. import data\n", f"e.py:1: the import of .. {out}"),
        "configs/f.py": ("from .. import data\nfrom ... import data\n", f"configs/f.py:2: the import of ... {out}"),
    }
    for path, (text, _) in offences.items():
        repo.file(0, path).write_text(text)
    repo.file(0, "link").symlink_to("data.py")
    found = [line for line in repo.weeks("check", code=1).splitlines() if line.startswith("week_0_setup/")]
    expected = [*(words for _, words in offences.values()), "link: a symbolic link."]
    assert sorted(found) == sorted(f"week_0_setup/{words}" for words in expected)


def test_what_only_looks_like_reaching_outside_is_allowed(repo):
    repo.file(0, "data.py").write_text("import toolset, os\nfrom . import model\nurl = 'https://.../x'\n")
    repo.file(0, "README.md").write_text("[next](../week_1_logging/README.md) ![plot](../images/p.png)\n=======\n")
    repo.file(0, "broken.py").write_text("def\n")
    repo.weeks("forward")
    repo.weeks("check")


def test_the_tests_of_each_week_run_outside_the_repository(repo):
    for number in (2, 3):
        repo.file(number, "tests").mkdir()
    repo.file(2, "tests/test_it.py").write_text(
        "import pathlib\ndef test_it():\n    assert not pathlib.Path('../week_3_dvc').exists()\n"
    )
    repo.file(3, "tests/test_it.py").write_text("def test_good():\n    pass\ndef test_bad():\n    assert False\n")
    printed = repo.weeks("test", "2", "3", code=1)
    assert "1 passed" in printed
    assert printed.endswith("failed: week_3_dvc\n")
    assert repo.weeks("test", "2", "3", "--", "-q", "-k", "not bad").endswith("2 weeks: all tests pass\n")


def test_what_stands_alike_in_the_week_before_is_not_tested_again(repo):
    for number in range(10):
        repo.file(number, "tests").mkdir()
        repo.file(number, "tests/test_model.py").write_text("import model\ndef test_it():\n    model\n")
        repo.file(number, "tests/test_configs.py").write_text("def test_it():\n    open('configs/' + 'a.yaml')\n")
        repo.file(number, "tests/test_text.py").write_text("def test_it():\n    assert open('help.txt').read()\n")
        repo.file(number, "help.txt").write_text("no help")
        repo.file(number, "model.py").write_text(f"lesson = {number > 0}\n")
    repo.file(4, "help.txt").write_text("model.py says more")
    repo.file(4, "model.py").write_text("lesson = 4\n")
    printed = repo.weeks("test", "--new", "--", "-q").splitlines()
    ran = {line.split()[1][:6]: {path[11:-3] for path in line.split()[2:]} for line in printed if line[:2] == "=="}
    assert ran == {
        "week_0": {""},  # all
        "week_1": {"model"},
        "week_3": {"configs"},
        "week_4": {"model", "text"},
        "week_5": {"model", "text"},  # as it was in week 3
    }


def test_a_changed_fixture_concerns_the_tests_that_name_it(repo):
    for number in range(10):
        repo.file(number, "tests").mkdir()
        for name, used in (("direct", "corpus"), ("through", "model"), ("other", "folder"), ("helped", "")):
            text = "import helper\n" * (name == "helped") + f"def test_it({used}):\n    pass\n"
            repo.file(number, f"tests/test_{name}.py").write_text(text)
        repo.file(number, "tests/helper.py").write_text("def start(model):\n    pass\n")
        always = number // 5
        repo.file(number, "tests/conftest.py").write_text(
            f"import pytest\n\n\n@pytest.fixture(autouse=True)\ndef always():\n    return {always}\n\n\n"
            + "".join(
                f"@pytest.fixture\ndef {name}({needs}):\n    return {value}\n\n\n"
                for name, needs, value in (("corpus", "", number // 2), ("model", "corpus", 0), ("folder", "", 0))
            )
        )
    printed = repo.weeks("test", "--new", "--", "-q").splitlines()
    ran = {line.split()[1][:6]: {path[11:-3] for path in line.split()[2:]} for line in printed if line[:2] == "=="}
    named = {"direct", "through", "helped"}
    assert ran == {
        "week_0": {""},
        "week_2": named,
        "week_4": named,
        "week_5": {*named, "other"},
        "week_6": named,
        "week_8": named,
    }


@pytest.mark.parametrize(
    "command",
    [
        "diff 12",
        "diff 0",
        "record 0",
        "record 1 12",
        "test 12",
        "forward --from 12",
        "forward --since nowhere",
        "forward --since=-x",
    ],
)
def test_a_wrong_week_or_revision_is_one_line_and_exit_2(repo, command):
    printed = repo.weeks(*command.split(), code=2)
    assert printed.count("\n") == 1
    assert command.replace("-", " ").split()[-1] in printed
    assert repo.git("status", "--short") == ""


def test_wrong_surroundings_are_one_line_and_exit_2(tmp_path):
    repo = Repo(tmp_path, tmp_path)
    assert "not a git repository" in repo.weeks("check", code=2)
    repo.git("init", "-q")
    assert repo.weeks("check") == "0 weeks: the ladder holds\n"
    assert repo.weeks("forward", code=2).count("\n") == 1  # nothing is committed yet
    repo.file(0, "a.py").parent.mkdir()
    repo.file(0, "a.py").touch()
    assert repo.weeks("check") == "1 weeks: the ladder holds\n"
    (tmp_path / "week_0_other").mkdir()
    (tmp_path / "week_0_other" / "a.py").touch()
    assert "two folders claim to be week 0" in repo.weeks("check", code=2)


def test_check_takes_under_two_seconds_on_ten_weeks_of_realistic_size(repo):
    code = "".join(f"def power_{number}(x, y=1):\n    return [x**y + {number}]\n\n\n" for number in range(60))
    for number in range(60):
        path = f"module_{number}.py" if number % 2 else f"configs/{number}.yaml"
        repo.file(0, path).write_text(f"# {number}\n{code}")
    repo.file(0, "corpus.csv").write_text("the cat sat on the mat,1\n" * 12_000)  # 300 KB
    repo.weeks("forward")
    repo.commit()
    start = os.times()
    repo.weeks("check")
    end = os.times()  # the processor's time: a busy machine must not fail the test
    assert end.children_user + end.children_system - start.children_user - start.children_system < 2
