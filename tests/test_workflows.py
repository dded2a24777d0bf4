"""The workflow files: valid, safe, and covering every week."""

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from replay import ACTIONS

ROOT = Path(__file__).resolve().parent.parent
WEEK = ROOT / "week_6_github_actions"
WORKFLOWS = [*sorted(ROOT.glob(".github/workflows/*.yaml")), *sorted(WEEK.glob(".github/workflows/*.yaml"))]
SCRIPTS = Path(sys.executable).parent
ACTIONLINT = ROOT.parent / "shared" / "bin" / "actionlint"
STEPS = [
    (workflow, step)
    for workflow in WORKFLOWS
    for job in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    for step in job["steps"]
]


@pytest.mark.parametrize(
    "command",
    [
        [SCRIPTS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
        [SCRIPTS / "zizmor", "--offline", "--no-progress"],
        pytest.param([ACTIONLINT], marks=pytest.mark.skipif(not ACTIONLINT.exists(), reason="no actionlint is there")),
    ],
    ids=["check-jsonschema", "zizmor", "actionlint"],
)
def test_a_linter_finds_nothing(command):
    run = subprocess.run([*command, *WORKFLOWS], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_actions_are_pinned_by_commit_and_take_what_they_are_given():
    used = [(step["uses"], set(step.get("with", ()))) for _, step in STEPS if "uses" in step]
    for action, given in used:
        owner_and_name, _, commit = action.partition("@")
        assert re.fullmatch(r"[0-9a-f]{40}", commit), action
        if owner_and_name != "actions/checkout":
            stand_in = yaml.safe_load((ACTIONS / owner_and_name.split("/")[1] / "action.yaml").read_text())
            assert given <= set(stand_in.get("inputs", ())), action


def test_the_tests_and_modules_that_a_workflow_names_exist():
    for workflow, step in STEPS:
        for module, test in re.findall(r"python3? -m (\w+\.\w+)|pytest (\S+)", step.get("run", "")):
            week = WEEK if WEEK in workflow.parents else ROOT / workflow.stem if "week" in workflow.stem else ROOT
            assert (week / (test or f"{module.replace('.', '/')}.py")).is_file(), step["run"]


def test_ci_and_the_newest_releases_cover_every_week():
    weeks = sorted(int(path.name.split("_")[1]) for path in ROOT.glob("week_*_*"))
    for name in ("ci", "newest"):
        matrices = re.findall(r"week: \[(.*)\]", (ROOT / ".github" / "workflows" / f"{name}.yaml").read_text())
        assert matrices
        assert all([int(week) for week in matrix.split(",")] == weeks for matrix in matrices)


def test_the_copy_of_week_6_is_the_workflow_of_the_course_in_its_own_folder():
    whole = (ROOT / ".github" / "workflows" / f"{WEEK.name}.yaml").read_text().partition("\npermissions")[2]
    copy = (WEEK / ".github" / "workflows" / "model.yaml").read_text().partition("\npermissions")[2]
    assert whole.replace(f"{WEEK.name}/", "").replace(f": {WEEK.name}\n", ": .\n") == copy


WELL = {"/health": 200, "/predict?text=The+boy+are+sitting+on+a+bench.": 200, "/predict?text=+": 422}


@pytest.mark.parametrize("broken", [{}, *({path: 500 if status == 200 else 200} for path, status in WELL.items())])
def test_week_6_is_red_where_one_answer_of_its_image_is_another(broken, tmp_path):
    class Service(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response((WELL | broken)[self.path])
            self.end_headers()
            self.wfile.write(b"{}")

    (script,) = (step["run"] for workflow, step in STEPS if WEEK in workflow.parents and "curl" in step.get("run", ""))
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "docker").write_text(f"#!/bin/sh\n[ $1 != port ] || echo 127.0.0.1:{server.server_port}\n")
        (tmp_path / "docker").chmod(0o755)
        command = ["bash", "-eo", "pipefail", "-c", script.replace("--retry 30", "--retry 1")]  # as GitHub's shell
        run = subprocess.run(command, env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
        server.shutdown()
    assert (run.returncode == 0) == (broken == {})
