"""How long a first request to week 8's function waits in AWS's emulator, beside the same with transformers' pipeline.

The emulator is the one that aws-sam-cli brings, and awslambdaric calls the function, as in the image; both functions
run in the rivals' environment, from the cache of the disk. Each start is a new process, in turn.
"""

import argparse
import json
import socket
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil
import samcli
from course import HERE, QUIET, RIVALS, ROOT, model, row, run

EMULATOR = Path(samcli.__file__).parent / "local/rapid/aws-lambda-rie-x86_64"
FUNCTIONS = {  # the folder, the handler, the model
    "the course": (ROOT / "week_8_serverless", "lambda_handler.lambda_handler", "model.onnx"),
    "torch and transformers": (HERE / "servers", "torch_lambda.lambda_handler", "hf"),
}
EVENT = json.dumps({"sentences": ["The boy is sitting on a bench"]}).encode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def first_answer(folder: Path, handler: str, file: str) -> tuple[float, float]:
    """Seconds from the start of the emulator to the first answer, and the MB that the function then has."""
    port, path = free_port(), str(model("stand-in") / file)
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    addresses += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
    command = [EMULATOR, *addresses, str(RIVALS / "bin/python"), "-m", "awslambdaric", handler]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=QUIET | {"MODEL": path}, **quiet) as process:
        try:
            while time.perf_counter() - start < 120:
                try:
                    with urllib.request.urlopen(url, EVENT, timeout=120) as answer:
                        said = answer.read().decode()
                    break
                except OSError:
                    time.sleep(0.02)
            seconds = time.perf_counter() - start
            if '"label"' not in said:
                raise RuntimeError(said)
            children = psutil.Process(process.pid).children(recursive=True)
            return seconds, sum(child.memory_full_info().pss for child in children) / 1e6
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()


def measure(args: argparse.Namespace) -> list[dict]:
    found = {name: [] for name in FUNCTIONS}
    for _ in range(2 if args.quick else 5):
        for name, function in FUNCTIONS.items():
            found[name].append(first_answer(*function))
    seconds, memory = (
        {name: statistics.median(run[place] for run in runs) for name, runs in found.items()} for place in (0, 1)
    )
    return [row("cold start in AWS's emulator", "s", seconds), row("memory of the function", "MB", memory)]


if __name__ == "__main__":
    run(measure, __doc__)
