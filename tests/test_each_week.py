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
    assert subprocess.run([sys.executable, "tools/weeks.py", "test", str(week), "--new"], cwd=ROOT).returncode == 0
