"""What week 2 promises: keys and their types, and sweeps."""

import csv
import runpy
import sys
from pathlib import Path

import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import train as training
from conftest import compose, keys

WEEK = Path(__file__).parent.parent


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run `python train.py ARGUMENTS` in an empty folder and in this process; returns the lines that it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        runpy.run_path(str(WEEK / "train.py"), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def files(group: str) -> list[str]:
    return [path.stem for path in sorted((WEEK / "configs" / group).glob("*.yaml"))]


@pytest.mark.parametrize("choice", [f"{g}={f}" for g in ("model", "processing", "training") for f in files(g)])
def test_each_file_fits_the_schema_and_leaves_nothing_open(choice):
    cfg = compose(choice)
    assert not OmegaConf.missing_keys(cfg)
    assert None not in OmegaConf.to_container(cfg, resolve=True).values()


@pytest.mark.parametrize("model", files("model"))
def test_epochs_and_learning_rate_are_those_of_the_model_unless_told_otherwise(model):
    cfg = compose(f"model={model}", "training.epochs=9")
    assert cfg.training.learning_rate == cfg.model.learning_rate
    assert cfg.training.epochs == 9


def test_each_key_is_read_by_the_code(monkeypatch, few, tmp_path):
    settings = keys(source=few, epochs=1, batch_size=128, output=tmp_path, reports=tmp_path)
    cfg, read, get = compose(*settings), set(), DictConfig._get_impl

    def spy(self, key, *args, **kwargs):
        read.add(self._get_full_key(key))
        return get(self, key, *args, **kwargs)

    monkeypatch.setattr(DictConfig, "_get_impl", spy)
    training.run(cfg)
    leaves = {f"{group}.{key}" for group in ("model", "processing", "training") for key in cfg[group]}
    leaves |= {key for key in cfg if not isinstance(cfg[key], DictConfig)}
    assert leaves - read == {"model.epochs", "model.learning_rate"}  # which training.* take over


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainning.epochs=3", ["trainning"]),
        ("training.epochs=many", ["training.epochs", "'many'", "Integer"]),
        ("processing.max_length=1.5", ["processing.max_length", "'1.5'", "Integer"]),
        ("model=gpt9", ["model/gpt9", "electra_small"]),
    ],
)
def test_a_wrong_key_type_or_choice_is_refused_by_name(override, words):
    with pytest.raises((HydraException, OmegaConfBaseException)) as error:
        compose(override)
    said = f"{error.value} {error.value.__cause__}"
    assert all(word in said for word in words), said


def test_a_key_that_hydra_was_told_to_add_is_refused(command, capsys):
    with pytest.raises(SystemExit):
        command("+training.epoch=3")
    assert "Key 'epoch' not in 'Training'" in capsys.readouterr().err


def test_a_batch_is_shared_evenly_or_refused(few, tmp_path):
    cfg = compose("training=ddp", *keys(source=few, batch_size=33, output=tmp_path))
    with pytest.raises(SystemExit, match="33 sentences cannot be shared evenly by 2 processes"):
        training.run(cfg)


def test_a_sweep_ends_with_the_best_run_first_and_its_model(command, few, tmp_path):
    folders = ["hydra.sweep.dir=sweep", "hydra.sweep.subdir=runs/${hydra.job.num}"]
    rates = "training.learning_rate=1e-9,1e-3"
    said = command("-m", *keys(source=few, batch_size=32, epochs=2), rates, *folders)
    assert said[-1] == "the winner: sweep/runs/1/models/best-checkpoint.ckpt"
    with (tmp_path / "sweep" / "leaderboard.csv").open() as file:
        first, second = csv.DictReader(file)
    assert float(first["mcc"]) > float(second["mcc"])
    assert "training.learning_rate=0.001" in first["overrides"]
    for run in (first, second):
        assert (tmp_path / "sweep" / run["run"] / run["output"] / "best-checkpoint.ckpt").exists()
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("key", ["output=/tmp/models", "reports=../reports"])
def test_a_folder_that_all_runs_of_a_sweep_would_share_is_refused(key, command):
    with pytest.raises(SystemExit, match="would be one folder for all runs"):
        command("-m", key, "seed=0,1")
