"""How long the first request waits: this function's imports, beside those of the training packages, and its image.

python measure_cold_start.py                          imports alone, each in fresh processes
python measure_cold_start.py --image cola-lambda      and first and later requests in the emulator; needs Docker

Writes cold_start.json and cold_start.png below reports/lambda (--output).
"""

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from errors import InputError, friendly_errors
from invoke import PATH, WAIT_S, wait_for

IMPORTS = {
    "this function, with its model": "import lambda_handler",
    "torch + transformers + Lightning": "import torch, transformers, pytorch_lightning",
}
PROBE = """
import time
started = time.perf_counter()
{}
seconds = time.perf_counter() - started
import psutil
print(seconds, psutil.Process().memory_info().rss / 2**20)
"""
EVENT = {"sentence": "The boy is sitting on a bench."}
WARM_REQUESTS = 200


def time_import(statement: str) -> tuple[float, float]:
    """Seconds that a statement takes in a new process, and the MB that the process holds then.

    Raises:
        InputError: it fails; the message is Python's last line.
    """
    run = subprocess.run([sys.executable, "-c", PROBE.format(statement)], capture_output=True, text=True)
    if run.returncode:
        raise InputError(f'"{statement}" fails: {run.stderr.strip().splitlines()[-1]}')
    seconds, megabytes = run.stdout.split()[-2:]
    return float(seconds), float(megabytes)


@contextmanager
def emulator(image: str):
    """Run the image on a free port of this computer until the end of the `with` block; gives the port.

    Raises:
        InputError: there is no Docker, or no such image.
    """
    if not shutil.which("docker"):
        raise InputError("docker not found: install an engine, or leave --image out")
    run = ["docker", "run", "--detach", "--rm", "--publish", "127.0.0.1::8080", image]
    started = subprocess.run(run, capture_output=True, text=True)
    if started.returncode:
        raise InputError(f"{image} does not start: {started.stderr.strip().splitlines()[0]}")
    name = started.stdout.strip()
    try:
        said = subprocess.run(["docker", "port", name, "8080"], capture_output=True, text=True, check=True).stdout
        yield int(said.splitlines()[0].rsplit(":", 1)[1])
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True)


def ask(port: int) -> float:
    """Seconds from the request to the whole answer.

    Raises:
        InputError: the answer is not a judgement.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    started = time.perf_counter()
    connection.request("POST", PATH, json.dumps(EVENT))
    answer = connection.getresponse().read()
    seconds = time.perf_counter() - started
    connection.close()
    if "label" not in json.loads(answer):
        raise InputError(f"the function answers {answer.decode()}: see `docker logs`")
    return seconds


def measure(image: str | None, runs: int) -> dict:
    """Seconds, megabytes and milliseconds, each a list of what was measured."""
    progress = tqdm(total=runs * (len(IMPORTS) + bool(image)), desc="measuring", disable=None)
    imports = {name: {"s": [], "mb": []} for name in IMPORTS}
    results = {"cores": os.cpu_count(), "imports": imports}
    for _ in range(runs):  # in turn, so that a busy minute of the machine meets all alike
        for name, statement in IMPORTS.items():
            seconds, megabytes = time_import(statement)
            imports[name]["s"].append(round(seconds, 3))
            imports[name]["mb"].append(round(megabytes))
            progress.update()
    if image:
        results["emulator"] = {"first_s": [], "warm_ms": []}
        for _ in range(runs):
            with emulator(image) as port:
                wait_for(f"http://127.0.0.1:{port}", WAIT_S)
                results["emulator"]["first_s"].append(round(ask(port), 3))
                warm = [ask(port) * 1000 for _ in range(WARM_REQUESTS)]
                results["emulator"]["warm_ms"].append(round(statistics.median(warm), 2))
            progress.update()
    progress.close()
    return results


def rows(results: dict) -> dict[str, list[float]]:
    """What the picture and the table show, by name: seconds, one for each run."""
    seconds = {f"import: {name}": values["s"] for name, values in results["imports"].items()}
    if "emulator" in results:
        seconds["emulator: the first request"] = results["emulator"]["first_s"]
        seconds["emulator: later ones"] = [ms / 1000 for ms in results["emulator"]["warm_ms"]]
    return dict(sorted(seconds.items(), key=lambda row: -statistics.median(row[1])))


def shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"


def draw(results: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    names, values = zip(*rows(results).items(), strict=True)
    figure = Figure(figsize=(7, 0.9 + 0.4 * len(names)), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for row, runs in enumerate(values):
        median = statistics.median(runs)
        colour = "tab:orange" if "torch" in names[row] else "tab:blue"
        axes.plot(runs, [row] * len(runs), "o", color=colour, alpha=0.35, markersize=5)
        axes.plot(median, row, "|", color=colour, markersize=16, markeredgewidth=2)
        axes.annotate(shown(median), (max(runs), row), (8, 0), textcoords="offset points", va="center")
    lowest, highest = min(map(min, values)), max(map(max, values))
    axes.set(xscale="log", xlim=(lowest / 2, highest * 6), ylim=(len(names) - 0.5, -0.5))
    axes.set(xlabel="seconds: each run, and the median")
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", help="also measure this image in the emulator")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="default: %(default)s")
    output = Path("reports/lambda")
    parser.add_argument("--output", type=Path, default=output, metavar="DIR", help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        raise InputError(f"--runs {arguments.runs}: give a number above 0")
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = measure(arguments.image, arguments.runs)
    (arguments.output / "cold_start.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results, arguments.output / "cold_start.png")
    for name, seconds in rows(results).items():
        print(f"{name:<40}  {shown(statistics.median(seconds)):>8}")
    for name, values in results["imports"].items():
        print(f"memory: {name:<32}  {statistics.median(values['mb']):>5.0f} MB")


if __name__ == "__main__":
    main()
