"""Fixtures: a small corpus, and one model, trained once, which most tests share. W&B is off, unless a test needs it."""

from pathlib import Path

import pandas as pd
import pytest
import torch

import train as training
from sources import BUNDLED

torch.set_num_threads(1)  # several wait for each other where the machine is busy


def train(**settings) -> Path:
    """Run a training in this process: `train(epochs=1, output=folder)`; returns its best checkpoint."""
    resume = ["--resume"] if settings.pop("resume", False) else []
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    if "reports" not in settings:
        options.append(f"--reports={settings['output']}/reports")
    args = training.parser().parse_args(options + resume)
    training.run(args)
    return Path(args.output, "best-checkpoint.ckpt")


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
