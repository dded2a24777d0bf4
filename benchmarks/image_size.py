"""What an image of a service carries beside python:3.11-slim: the packages, as pip installs them.

The rivals serve transformers' pipeline, which needs PyTorch. It is the one for processors where pip is told so, as by
PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from course import ROOT, row, run

PIPELINE = ["torch==2.13.0", "transformers"]
PACKAGES = {
    "the course": ["--requirement", str(ROOT / "week_5_docker/requirements_inference.txt")],
    "LitServe, its pipeline": ["litserve", *PIPELINE],
    "BentoML, its pipeline": ["bentoml", *PIPELINE],
}


def megabytes(packages: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *packages]
        subprocess.run(command, check=True, stdout=sys.stderr)
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6


def measure(args: argparse.Namespace) -> list[dict]:
    return [row("packages of the image", "MB", {name: megabytes(packages) for name, packages in PACKAGES.items()})]


if __name__ == "__main__":
    run(measure, __doc__)
