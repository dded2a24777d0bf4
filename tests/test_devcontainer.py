"""The development container: pinned, on a Python that is tested, and prepared by what the Makefile offers."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))


def test_image_and_features_are_pinned():
    assert re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:\d[\d.]*-3\.1[1-3]-\w+", CONTAINER["image"])
    assert any("docker-in-docker" in feature for feature in CONTAINER["features"])
    assert all(re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", feature) for feature in CONTAINER["features"])


def test_it_is_ready_by_a_target_of_the_makefile_and_finds_its_python():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    target = CONTAINER["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"(?m)^{target}:", makefile)
    (venv,) = re.findall(r"(?m)^VENV \?= (\S+)$", makefile)
    interpreter = CONTAINER["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == f"${{containerWorkspaceFolder}}/{venv}/bin/python"
