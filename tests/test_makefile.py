"""The Makefile, with a stand-in for Python: which version it takes, and what it calls."""

import os
import subprocess
from pathlib import Path

import pytest

from walk import ROOT

CALLED = '#!/bin/sh\ncase "$*" in *venv*) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; esac\necho "$@" >> calls\n'


@pytest.fixture
def course(tmp_path) -> Path:
    """A clone in a folder with a space in its name, and a Python that writes down what it is called for."""
    folder = tmp_path / "my course"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for name, script in (("python", CALLED), ("old", "#!/bin/sh\nexit 1\n")):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    (folder / ".venv/aws-cli/bin").mkdir(parents=True, exist_ok=True)
    (folder / ".venv/aws-cli/bin/python").write_bytes((folder / "python").read_bytes())
    (folder / ".venv/aws-cli/bin/python").chmod(0o755)
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("target", "last"),
    [
        (["demo"], "tools/walk.py 0 9"),
        (["demo", "WEEK=3"], "tools/walk.py 3"),
        (["test", "WEEK=3"], "tools/weeks.py test 3"),
    ],
)
def test_it_installs_and_then_runs_what_was_asked_for(course, target, last):
    done = make(course, *target, "PYTHON=./python")
    assert done.returncode == 0, done.stderr
    calls = (course / "calls").read_text().splitlines()
    assert any("pip install" in call and "-r requirements.txt" in call for call in calls)
    assert calls[-1] == last


def test_another_python_is_refused_before_anything_is_made(course):
    done = make(course, "demo", "PYTHON=./old")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: Python 3.11 to 3.13 is needed: name one, as in make demo PYTHON=python3.12\n" in done.stderr
