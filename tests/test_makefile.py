"""The Makefile, with stand-ins for Python: which version it takes, and where it may lie."""

import os
import subprocess
from pathlib import Path

import pytest

from walk import ROOT

CALLED = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\n'


@pytest.fixture
def course(tmp_path) -> Path:
    """A clone in a folder with a space in its name, with an environment that writes down what it is called for."""
    folder = tmp_path / "my course"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "week_0_start").mkdir()
    python = folder / ".venv/bin/python"
    python.write_text(CALLED)
    python.chmod(0o755)
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_an_environment_in_a_path_with_a_space_is_used_and_kept(course):
    assert make(course, "demo").returncode == 0
    called = (course / ".venv/bin/calls").read_text().splitlines()
    assert "-m pip install --disable-pip-version-check -r requirements.txt" in called
    assert called[-1] == "tools/walk.py 0"


def test_another_python_is_refused_before_anything_is_made(course):
    (course / ".venv/bin/python").unlink()
    (course / "old").write_text("#!/bin/sh\nexit 1\n")
    (course / "old").chmod(0o755)
    done = make(course, "demo", "PYTHON=./old")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: Python 3.11 to 3.13 is needed: name one, as in make demo PYTHON=python3.12\n" in done.stderr


@pytest.mark.parametrize("week", ["1", "week_0_start", "", "*", "0 0", "0'", "0_start"])
def test_a_week_that_is_not_there_is_said_first(course, week):
    done = make(course, "demo", f"WEEK={week}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: there is no week {week} here: WEEK is one of 0\n")
    assert not (course / ".venv/bin/calls").exists()


@pytest.mark.parametrize("way", ["0", "week=0"])
def test_the_last_week_is_not_walked_where_another_was_meant(course, way):
    done = make(course, "demo", way)
    assert done.returncode == 2
    assert done.stderr.startswith("error: which week? Write make demo WEEK=0\n")
    assert not (course / ".venv/bin/calls").exists()
