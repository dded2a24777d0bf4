"""The stand-ins are worth training on: from scratch, a small encoder learns what holds for words it has never seen."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WEEK = Path(__file__).resolve().parent.parent / "week_0_project_setup"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bundled_encoder_learns_agreement_that_holds_for_new_words(tmp_path, seed):
    def run(script: str, *arguments: str) -> str:
        command = [sys.executable, WEEK / script, *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    run("train.py", "--source", "bundled", "--seed", str(seed))
    results = json.loads(run("evaluate.py", "--json"))
    assert results["majority"]["accuracy"] < 0.6
    assert results["held-out words"]["mcc"] >= 0.7
    assert {"held-out words", "held-out templates"} <= set(results)
    judged = run("inference.py", "The boy is sitting on a bench", "The boy are sitting on a bench")
    assert [line.split()[0] for line in judged.splitlines()] == ["acceptable", "unacceptable"]
