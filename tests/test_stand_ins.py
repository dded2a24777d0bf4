"""The stand-ins are worth training on: from scratch, a small encoder learns what holds for words it has never seen."""

import re
import subprocess
import sys
from pathlib import Path

WEEK = Path(__file__).resolve().parent.parent / "week_0_project_setup"
PAIR = ["The boy is sitting on a bench", "The boy are sitting on a bench"]


def test_the_bundled_encoder_learns_agreement_that_holds_for_new_words(tmp_path):
    def run(*command) -> str:
        return subprocess.check_output([sys.executable, WEEK / command[0], *command[1:]], cwd=tmp_path, text=True)

    said = run("train.py", "--seed=1")  # the README of week 0 has 0
    accuracy = {name: float(number) for name, number in re.findall(r"^(\S.*\S) +(0\.\d+) +\S+$", said, re.M)}
    assert accuracy["majority"] < 0.6
    assert accuracy["held-out words"] > 0.8
    assert accuracy["held-out templates"] > 0.6
    (good, good_score), (bad, bad_score) = (line.split()[:2] for line in run("inference.py", *PAIR).splitlines())
    assert (good, bad) == ("acceptable", "unacceptable")
    assert float(good_score) > 0.8
    assert float(bad_score) < 0.2
