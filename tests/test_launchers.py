"""Week 2 in several processes: sweeps by the launchers that start them, and one training on two."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

WEEK = Path(__file__).resolve().parent.parent / "week_2_hydra_config"


@pytest.fixture
def command(tmp_path):
    """Run `python train.py ARGUMENTS` of week 2 on a hundred sentences; returns the lines that it prints."""
    for split in ("train", "validation"):
        pd.read_csv(WEEK / "bundled" / f"{split}.csv").head(100).to_csv(tmp_path / f"{split}.csv", index=False)
    ours = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    ours["PYTHONPATH"] = str(WEEK)  # where submitit's jobs find our modules: they start elsewhere

    def run(*arguments: str) -> list[str]:
        command = [sys.executable, WEEK / "train.py", *arguments, f"source={tmp_path}"]
        return subprocess.check_output(command, cwd=tmp_path, env=ours, text=True).splitlines()

    return run


@pytest.mark.parametrize(
    "launcher",
    ["hydra/launcher=joblib hydra.launcher.n_jobs=2", "hydra/launcher=submitit_local hydra.launcher.timeout_min=5"],
)
def test_each_run_of_a_sweep_is_in_the_table(launcher, command, tmp_path):
    said = command("-m", *launcher.split(), "training.epochs=1", "seed=0,1", "hydra.sweep.dir=sweep")
    assert sorted(pd.read_csv(tmp_path / "sweep" / "leaderboard.csv")["run"]) == [0, 1]
    assert said[-1].startswith("the winner: sweep/")


def test_two_processes_give_the_metrics_of_one(command, tmp_path):
    """All sentences in one batch, no dropout: order does not matter then, and averaged gradients are those of one."""
    for training in ("default", "ddp"):
        settings = ["training.accelerator=cpu", "training.epochs=2", "processing.batch_size=100"]
        said = command(f"training={training}", *settings, f"output={training}", f"reports={training}")
        assert "".join(said).count("best checkpoint") == 1
    one, two = (pd.read_csv(tmp_path / name / "history.csv") for name in ("default", "ddp"))
    assert one["train/loss"].nunique() > 1  # the model does change
    for name in ("train/loss", "val/loss", "train/gradient_norm"):
        assert two[name].tolist() == pytest.approx(one[name].tolist(), rel=0.02)
