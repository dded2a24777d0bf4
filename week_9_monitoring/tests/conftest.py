"""Fixtures: a small corpus, and one model, trained once, which most tests share. W&B is off, unless a test needs it."""

from pathlib import Path

import hydra
import pandas as pd
import pytest
import torch
from omegaconf import DictConfig

import convert_model_to_onnx
import train as training
from sources import BUNDLED

torch.set_num_threads(1)  # several wait for each other where the machine is busy


KEYS = {"processing": ("batch_size", "max_length"), "training": ("epochs", "learning_rate", "patience")}


def keys(**settings) -> list[str]:
    """Settings as train.py takes them: `keys(epochs=1)` is `["training.epochs=1"]`."""
    names = {name: f"{group}.{name}" for group, names in KEYS.items() for name in names} | {"model": "model.name"}
    return [f"{names.get(name, name)}={value}" for name, value in settings.items()]


def compose(*overrides: str) -> DictConfig:
    with hydra.initialize_config_dir(str(Path("configs").absolute()), version_base="1.3"):
        return hydra.compose("config", [*overrides])


def train(**settings) -> Path:
    """Run a training in this process: `train(epochs=1, output=folder)`; returns its best checkpoint."""
    folders = {"reports": Path(settings["output"], "reports")}
    training.run(compose(*keys(**folders | settings)))
    return Path(settings["output"], "best-checkpoint.ckpt")


@pytest.fixture(scope="session", autouse=True)
def wandb_folder(tmp_path_factory) -> Path:
    """W&B keeps its files in a temporary folder, and knows no login."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
            patch.setenv(name, str(folder))
        patch.setenv("NETRC", str(folder / "netrc"))
        patch.delenv("WANDB_API_KEY", raising=False)
        patch.setenv("WANDB_MODE", "disabled")
        yield folder


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> Path:
    """A folder with the simplest of the stand-ins' sentences ("The boy is here.", "The boy are here.")."""
    folder = tmp_path_factory.mktemp("few")
    for split, rows in (("train", 840), ("validation", 60)):
        pd.read_csv(BUNDLED / f"{split}.csv").head(rows).to_csv(folder / f"{split}.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def checkpoint(few, tmp_path_factory) -> Path:
    """The best checkpoint of a short training on them."""
    return train(source=few, epochs=3, output=tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def model_onnx(checkpoint, tmp_path_factory) -> Path:
    """That model as ONNX with int8 weights, whatever they cost; model.fp32.onnx lies beside it."""
    output = tmp_path_factory.mktemp("onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert_model_to_onnx, "MAY_LOSE", 2)
        convert_model_to_onnx.convert(checkpoint, output=output)
    return output / "model.onnx"
