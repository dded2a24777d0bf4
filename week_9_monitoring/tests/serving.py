"""A served model for the tests of the web service: exported from the checkpoint of the tests, run by a real uvicorn."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from conftest import WEEK
from convert_model_to_onnx import convert


def export(checkpoint: Path, data: Path, folder: Path) -> Path:
    """Export a checkpoint into a folder, and return the model that is served."""
    convert(checkpoint, pd.read_csv(data / "validation.csv"), folder)
    return folder / "model.onnx"


@contextmanager
def serving(model: Path):
    """Run the service on a free port until the end of the `with` block; gives its process, with its `url`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--no-access-log"]
    command += ["--timeout-graceful-shutdown", "1"]
    environment = os.environ | {"MODEL": str(model)}
    with subprocess.Popen(command, cwd=WEEK, env=environment, stderr=subprocess.PIPE, text=True) as process:
        process.url = f"http://127.0.0.1:{port}"
        try:
            wait_for(process)
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen, seconds: float = 60) -> None:
    """Return when the service answers.

    Raises:
        RuntimeError: it has ended; the message holds its exit code and its standard error.
    """
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise RuntimeError(f"exit code {process.returncode}: {process.stderr.read()}")
        try:
            urllib.request.urlopen(f"{process.url}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"no answer from {process.url}")
