"""Fixtures: a small corpus cut from the bundled one, a model trained on it, and commands run as a user runs them."""

import io
import os
import subprocess
import sys
from pathlib import Path

import hydra
import pandas as pd
import pytest

WEEK = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(WEEK))

BUNDLED = WEEK / "bundled"
RESUME = "resume=true"
GOOD, BAD = "The boy is sitting on a bench", "The boy are sitting on a bench"


@pytest.fixture(scope="session", autouse=True)
def wandb_folder(tmp_path_factory) -> Path:
    """Keep W&B out of the way: no account, its files in a temporary folder, off unless a test turns it on."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_API_KEY", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_IDENTITY_TOKEN_FILE"):
            patch.delenv(name, raising=False)
        for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
            patch.setenv(name, str(folder))
        patch.setenv("NETRC", str(folder / "netrc"))
        patch.setenv("WANDB_MODE", "disabled")
        yield folder


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A data folder of 320 training and 80 validation sentences of the bundled corpus."""
    folder = tmp_path_factory.mktemp("small")
    for split, rows in (("train", 320), ("validation", 80)):
        corpus = pd.read_csv(BUNDLED / f"{split}.csv")
        corpus.sample(rows, random_state=0).to_csv(folder / f"{split}.csv", index=False)
    return folder


GROUPS = {
    "processing": ("data", "batch_size", "max_length"),
    "training": ("epochs", "learning_rate", "patience"),
}
KEYS = {key: f"{group}.{key}" for group, keys in GROUPS.items() for key in keys} | {"model": "model.name"}


def options(**settings) -> list[str]:
    """Settings in the way in which `train.py` takes them: `options(epochs=1)` is `["training.epochs=1"]`."""
    return [f"{KEYS.get(name, name)}={value}" for name, value in settings.items()]


@pytest.fixture(scope="session")
def train(small):
    """Train for seconds: `train(folder, seed=1)` takes the settings that differ and returns the results."""
    import train as script

    def run(folder: Path, **settings) -> dict:
        chosen = {
            "data": small,
            "model": BUNDLED,
            "epochs": 2,
            "max_length": 64,
            "name": "a-test",
            "output": folder,
            "reports": folder / "reports",
        }
        with hydra.initialize_config_dir(str(WEEK / "configs"), version_base="1.3"):
            cfg = hydra.compose("config", options(**chosen | settings))
        return script.train(cfg, Path())

    return run


@pytest.fixture(scope="session")
def checkpoint(train, tmp_path_factory) -> Path:
    """The best checkpoint of a short run."""
    output = tmp_path_factory.mktemp("models")
    train(output)
    return output / "best-checkpoint.ckpt"


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run the `main` of a script in this process; returns exit code, stdout and stderr."""

    def run(main, *arguments, stdin: bytes = b""):
        monkeypatch.setattr("sys.argv", ["script", *map(str, arguments)])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = 0
        try:
            main()
        except SystemExit as exit:
            code = exit.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def command(tmp_path):
    """Run a script of the week in an empty folder, without a network: `command("train.py", "--epochs", "1")`."""

    def run(script: str, *arguments, **options) -> subprocess.CompletedProcess:
        environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub")}
        return subprocess.run(
            [sys.executable, str(WEEK / script), *map(str, arguments)],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=300,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def balanced(checkpoint, small, tmp_path_factory) -> Path:
    """That checkpoint with another bias, so that it calls half of the validation sentences acceptable.

    So little training may end in one answer to everything, on which any two models agree.
    """
    import numpy as np
    import torch

    from inference import ColaPredictor

    logits = ColaPredictor(checkpoint).logits(pd.read_csv(small / "validation.csv")["sentence"].tolist())
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["network.classifier.bias"][0] += float(np.median(logits[:, 1] - logits[:, 0]))
    path = tmp_path_factory.mktemp("balanced") / "best-checkpoint.ckpt"
    torch.save(content, path)
    return path


@pytest.fixture(scope="session")
def exported(balanced, small, tmp_path_factory) -> Path:
    """A folder with it as ONNX: model.onnx (int8, whatever that costs), model.fp32.onnx, tokenizer.json."""
    from convert_model_to_onnx import convert

    output = tmp_path_factory.mktemp("onnx")
    convert(balanced, pd.read_csv(small / "validation.csv"), output, max_mcc_loss=2)
    return output
