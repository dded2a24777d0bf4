"""In an image, without git, `dvc pull` brings the model from a remote that lies in the week's folder."""

import shutil
import subprocess
import sys
from pathlib import Path

from engine import build, docker, needs_engine

pytestmark = needs_engine

WEEK = next(Path(__file__).resolve().parent.parent.glob("week_3_*"))
MODEL = "models/best-checkpoint.ckpt"
DOCKERFILE = """\
FROM python:3.11-slim
WORKDIR /week
COPY constraints.txt .
RUN pip install --no-cache-dir -c constraints.txt dvc
COPY . .
RUN dvc config --local core.no_scm true && dvc pull
CMD ["cat", "models/best-checkpoint.ckpt"]
"""


def test_an_image_pulls_the_model_without_git(tmp_path):
    shutil.copytree(WEEK / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "storage", "tmp"))
    shutil.copy(WEEK / "constraints.txt", tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / MODEL).write_bytes(bytes(range(256)) * 1000)
    for command in ("config --local core.no_scm true", f"add -q {MODEL}", "push -q"):
        subprocess.run([sys.executable, "-m", "dvc", *command.split()], cwd=tmp_path, check=True)
    expected = (tmp_path / MODEL).read_bytes()
    (tmp_path / MODEL).unlink()
    shutil.rmtree(tmp_path / ".dvc" / "cache")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    build(tmp_path, "week-3-test")
    try:
        pulled = subprocess.run(["docker", "run", "--rm", "week-3-test"], capture_output=True, check=True).stdout
    finally:
        docker("rmi", "--force", "week-3-test")
    assert pulled == expected
