"""Each week's own tests pass in a copy of the week outside the repository: those new there; in the last week all."""

import subprocess
import sys

import pytest

from walk import ROOT


@pytest.mark.parametrize(
    "week",
    [pytest.param(9, marks=pytest.mark.xdist_group("engine")), *range(8, -1, -1)],  # as others there, it asks a cluster
)
def test_the_tests_of_the_week_pass(week):
    command = [sys.executable, "tools/weeks.py", "test", "--new", str(week), "--", "--durations=8", "--durations-min=5"]
    assert subprocess.run(command, cwd=ROOT).returncode == 0
