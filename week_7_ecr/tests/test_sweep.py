"""Sweeps, in the processes that the launchers start, and training on two processes."""

import csv
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from conftest import WEEK, options
from sweep import read_runs

JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
SUBMITIT = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"]


@pytest.mark.parametrize("launcher", [JOBLIB, SUBMITIT], ids=["joblib", "submitit"])
def test_a_sweep_ends_with_a_table_sorted_by_mcc_and_the_winner(command, small, tmp_path, launcher, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(WEEK))  # where submitit's jobs find our modules: they start elsewhere
    settings = options(source="bundled", data=small, epochs=1)
    run = command("train.py", "-m", *launcher, *settings, "seed=0,1", "hydra.sweep.dir=sweep")
    assert run.returncode == 0, run.stderr
    assert b"GPU available" not in run.stderr + run.stdout
    runs = read_runs(tmp_path / "sweep")
    assert sorted(r["overrides"].split()[-1] for r in runs) == ["seed=0", "seed=1"]
    assert runs[0]["mcc"] >= runs[1]["mcc"]
    with (tmp_path / "sweep" / "leaderboard.csv").open() as file:
        assert [row["run"] for row in csv.DictReader(file)] == [r["run"] for r in runs]
    winner = run.stdout.decode().splitlines()[-1].removeprefix("the winner: ")
    assert winner == f"sweep/{runs[0]['run']}/models/best-checkpoint.ckpt"
    assert (tmp_path / winner).is_file()


def test_runs_of_a_sweep_do_not_touch_each_other_nor_the_models_folder(command, small, tmp_path):
    settings = options(source="bundled", data=small, epochs=1)
    assert command("train.py", "-m", *settings, "seed=0,1", "hydra.sweep.dir=sweep").returncode == 0
    for job in ("0", "1"):
        assert (tmp_path / "sweep" / job / "models" / "best-checkpoint.ckpt").is_file()
    assert not (tmp_path / "models").exists()


def test_a_run_that_fails_does_not_end_the_sweep_but_counts(command, small, tmp_path):
    settings = options(source="bundled", data=small)
    run = command(
        "train.py", "-m", *settings, "training.epochs=0,1", "hydra.sweep.dir=sweep", "reports=plots", "output=o"
    )
    assert run.returncode == 1
    assert b"training.epochs=0: give a number above 0" in run.stderr
    assert b"1 of the runs in sweep did not come to their end" in run.stderr
    assert run.stdout.decode().splitlines()[-1] == "the winner: sweep/1/o/best-checkpoint.ckpt"


@pytest.mark.parametrize("launcher", [[], JOBLIB], ids=["basic", "joblib"])
def test_ctrl_c_ends_a_sweep_without_a_traceback(small, tmp_path, launcher):
    settings = options(source="bundled", data=small, epochs=100, patience=100)
    arguments = [sys.executable, WEEK / "train.py", "-m", *launcher, *settings, "seed=0,1", "hydra.sweep.dir=sweep"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(arguments, cwd=tmp_path, start_new_session=True, **pipes) as process:
        for _ in range(2 if launcher else 1):  # each worker is past its imports
            while not (line := process.stdout.readline()).startswith("epoch 1/"):
                assert line, "the sweep ended by itself"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all its processes
        said = process.stdout.read()
    assert process.returncode == 130
    assert "stopped by Ctrl-C: what has finished lies in sweep/; start the sweep again" in said
    assert "Traceback" not in said


def test_a_sweep_over_distributed_runs_is_refused(command, tmp_path):
    run = command("train.py", "-m", "source=bundled", "training=ddp", "seed=0,1", "hydra.sweep.dir=sweep")
    assert run.returncode == 1
    assert b"leave out training=ddp" in run.stderr


def test_two_processes_give_the_metrics_of_one(command, small, tmp_path):
    """All sentences in one batch, no dropout: order does not matter then, and averaged gradients are those of one."""
    settings = options(source="bundled", data=small, epochs=6, patience=6, batch_size=320)
    for folder, training in (("one", "default"), ("two", "ddp")):
        run = command("train.py", f"training={training}", *settings, f"output={folder}", f"reports={folder}")
        assert run.returncode == 0, run.stderr
        assert run.stdout.count(b"best checkpoint") == 1
    one, two = (pd.read_csv(tmp_path / f / "history.csv") for f in ("one", "two"))
    assert one["train/loss"].nunique() > 3  # the model does change
    for name in ("train/loss", "val/loss", "train/gradient_norm"):
        assert two[name].tolist() == pytest.approx(one[name].tolist(), rel=0.02)
