"""The workflow files: valid, safe, and covering every week."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
SCRIPTS = Path(sys.executable).parent


def tool(*command: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([SCRIPTS / command[0], *command[1:]], capture_output=True, text=True)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_fits_the_schema_of_github(workflow):
    run = tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow)
    assert run.returncode == 0, run.stdout


def test_no_workflow_has_a_known_weakness():
    run = tool("zizmor", "--offline", "--no-progress", "--persona", "regular", ROOT / ".github")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(workflow):
    used = re.findall(r"uses: (\S+)", workflow.read_text())
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40}", action) for action in used)


def test_ci_tests_every_week():
    weeks = sorted(int(path.name.split("_")[1]) for path in ROOT.glob("week_*_*"))
    (matrix,) = re.findall(r"week: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yaml").read_text())
    assert [int(week) for week in matrix.split(",")] == weeks
