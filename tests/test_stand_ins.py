"""The stand-ins are worth training on: from scratch, a small encoder learns what holds for words it has never seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WEEK = Path(__file__).resolve().parent.parent / "week_0_project_setup"
GOOD, BAD = "The boy is sitting on a bench", "The boy are sitting on a bench"
PROGRAM = """
import json, sys
from train import parser, train
results = train(parser().parse_args(sys.argv[1:3]))
from inference import ColaPredictor
print(json.dumps([results, ColaPredictor().predict(sys.argv[3:])]))
"""


@pytest.mark.parametrize("seed", [1, 2])  # the README of week 0 has 0
def test_the_bundled_encoder_learns_agreement_that_holds_for_new_words(tmp_path, seed):
    command = [sys.executable, "-c", PROGRAM, "--source=bundled", f"--seed={seed}", GOOD, BAD]
    environment = os.environ | {"PYTHONPATH": str(WEEK)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE)
    results, (good, bad) = json.loads(run.stdout)
    assert results["majority"]["accuracy"] < 0.6
    assert results["held-out words"]["mcc"] >= 0.7
    assert "held-out templates" in results
    assert good["label"] == "acceptable"
    assert good["score"] > 0.8
    assert bad["label"] == "unacceptable"
    assert bad["score"] < 0.2
