from pathlib import Path

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.accelerators import CUDAAccelerator

import train as script
from config import check
from conftest import BUNDLED, WEEK, options
from errors import InputError


def compose(*overrides: str) -> DictConfig:
    with hydra.initialize_config_dir(str(WEEK / "configs"), version_base="1.3"):
        return hydra.compose("config", [*overrides, "name=a-test"])


def files(group: str) -> list[str]:
    return sorted(path.stem for path in (WEEK / "configs" / group).glob("*.yaml"))


@pytest.mark.parametrize("choice", [f"{g}={f}" for g in ("model", "processing", "training") for f in files(g)])
def test_every_file_fits_the_schema_and_makes_sense(choice):
    cfg = compose(choice)
    check(cfg)
    assert not OmegaConf.missing_keys(cfg)


def test_every_key_is_read_by_the_code(monkeypatch, small, tmp_path):
    cfg = compose(*options(data=small, model=BUNDLED, epochs=1, output=tmp_path, reports=tmp_path))
    leaves = {f"{group}.{key}" for group in ("model", "processing", "training") for key in cfg[group]}
    leaves |= {key for key in cfg if not isinstance(cfg[key], DictConfig)}
    read = set()
    get = DictConfig._get_impl

    def spy(self, key, *args, **kwargs):
        read.add(self._get_full_key(key))
        return get(self, key, *args, **kwargs)

    monkeypatch.setattr(script, "check", lambda cfg: None)  # looking at a value is not yet using it
    monkeypatch.setattr(DictConfig, "_get_impl", spy)
    script.train(cfg, Path())
    unread = leaves - read
    assert unread == {"model.epochs", "model.learning_rate"}  # of which training.* are made, by interpolation


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs=0", "training.epochs=0: give a number above 0"),
        ("training.learning_rate=-1e-3", "training.learning_rate=-0.001: give a number above 0"),
        ("processing.batch_size=0", "processing.batch_size=0"),
        ("training.warmup_fraction=1.5", "training.warmup_fraction=1.5: give a number between 0 and 1"),
        ("source=moon", "source=moon: choose auto, hub or bundled"),
        ("training.accelerator=tpu", "training.accelerator=tpu: this machine has auto, cpu"),
        ("training.strategy=dpp", "training.strategy=dpp: choose auto, ddp or another of Lightning's"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(override, message):
    with pytest.raises(InputError) as error:
        check(compose(override))
    assert message in str(error.value)


@pytest.mark.parametrize("key", ["training.epoch", "epochs"])
def test_a_key_that_hydra_was_told_to_add_is_refused(key):
    with pytest.raises(InputError, match=f"{key} is no setting: python train.py --help shows all"):
        check(compose(f"+{key}=3"))


def test_a_batch_is_shared_evenly_or_refused():
    check(compose("training=ddp", "processing.batch_size=32"))
    with pytest.raises(InputError, match="batch_size=33 cannot be shared evenly by 2 processes"):
        check(compose("training=ddp", "processing.batch_size=33"))


def test_more_processes_than_cards_are_refused_unless_processors_are_asked_for(monkeypatch):
    monkeypatch.setattr(CUDAAccelerator, "is_available", lambda: True)
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", lambda: 1)
    check(compose("training=default"))
    check(compose("training=ddp", "training.accelerator=cpu"))
    for accelerator in ("auto", "cuda"):
        with pytest.raises(InputError, match="training.devices=2: this machine has 1 for cuda: choose fewer, or"):
            check(compose("training=ddp", f"training.accelerator={accelerator}"))


@pytest.mark.parametrize(
    ("override", "messages"),
    [
        ("trainning.epochs=3", ["trainning"]),
        ("training.epochs=many", ["training.epochs", "'many'", "Integer"]),
        ("processing.max_length=1.5", ["processing.max_length", "'1.5'", "Integer"]),
        ("resume=perhaps", ["resume", "perhaps", "bool"]),
        ("model=gpt9", ["model/gpt9", "electra_small"]),
    ],
)
def test_a_wrong_key_type_or_choice_is_refused_by_name(override, messages):
    with pytest.raises((HydraException, OmegaConfBaseException)) as error:
        compose(override)
    said = f"{error.value} {error.value.__cause__}"
    assert all(message in said for message in messages), said


def test_a_typo_is_shown_to_the_user_without_a_traceback(command):
    run = command("train.py", "training.epoch=3")
    assert run.returncode != 0
    assert b"Key 'epoch' not in 'Training'" in run.stderr
    assert b"Traceback" not in run.stderr


def test_the_learning_rate_of_a_run_is_that_of_its_model():
    for name in files("model"):
        cfg = compose(f"model={name}")
        assert cfg.training.learning_rate == cfg.model.learning_rate
    assert compose("model=bert_tiny").training.learning_rate == 3e-4
