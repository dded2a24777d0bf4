"""How long a first request to week 8's function waits for its imports, beside those of the training packages.

python benchmarks/cold_start.py week_8_serverless/models/model.onnx

Each import is measured in new processes, in turn; the files are in the cache of the disk.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

WEEK = Path(__file__).resolve().parent.parent / "week_8_serverless"
IMPORTS = {
    "the function, with its model": "import lambda_handler",
    "torch + transformers + Lightning": "import torch, transformers, pytorch_lightning",
}
PROBE = """
import resource, time
started = time.perf_counter()
{}
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", type=Path, help="model.onnx of week 8")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    environment = os.environ | {"MODEL": str(args.model.resolve())}
    measured = {name: [] for name in IMPORTS}
    for _ in range(args.runs):
        for name, statement in IMPORTS.items():
            command = [sys.executable, "-c", PROBE.format(statement)]
            said = subprocess.check_output(command, cwd=WEEK, env=environment, text=True)
            measured[name].append([float(number) for number in said.split()[-2:]])
    for name, runs in measured.items():
        seconds, kilobytes = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:<34}{seconds:6.2f} s{kilobytes / 1024:8.0f} MB")
