"""Make the modules of tools/ and images/ importable; the longest tests come first; a model for the tests of images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

for folder in ("tools", "images"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))

from walk import copy_week, find_week  # noqa: E402  it is found now


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in ("test_readmes.py", "test_each_week.py"))


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """The folder of a small model, such as any week's image can hold: trained and exported in the last week."""
    week = tmp_path_factory.mktemp("models") / "week"
    copy_week(find_week("9"), week)
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    for command in (["train.py", "training=debug"], ["convert_model_to_onnx.py"]):
        subprocess.run([sys.executable, *command], cwd=week, env=environment, check=True, capture_output=True)
    return week / "models"
