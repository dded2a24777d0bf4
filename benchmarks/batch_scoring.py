"""Lines a second of week 9's batch.py, and its memory, at 10,000 to 1,000,000 lines: one process, two, Ray.

A run that would take longer than CAP seconds is stopped; the parts that it has written by then say how fast it was.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from course import QUIET, WEEK, model, row, run, sentences

CAP = 150  # s
CHUNK = 1024  # lines of a part
WAYS = {"one process": (1, []), "two processes": (2, []), "Ray": (1, ["--ray"])}  # how many, and the option


def peak(processes: list[subprocess.Popen], until: threading.Event, found: list[float]) -> None:
    """The most memory, in MB, that these processes and what they started had together."""
    while not until.wait(0.5):
        total = 0
        for process in processes:
            try:
                tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                total += sum(each.memory_full_info().pss for each in tree)
            except psutil.Error:  # it has ended
                pass
        found.append(total / 1e6)


def score(lines: list[str], ways: int, options: list[str], cap: float) -> tuple[float, float]:
    """Lines a second, from start to end of the command, and MB."""
    command = [sys.executable, "batch.py"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        processes, found, done = [], [0.0], threading.Event()
        start = time.perf_counter()
        for number in range(ways):
            source, output = Path(folder, f"{number}.txt"), Path(folder, f"{number}")
            source.write_text("".join(f"{line}\n" for line in lines[number::ways]), encoding="utf-8")
            words = [*command, str(source), str(output), "--model", str(model("stand-in") / "model.onnx"), *options]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            processes.append(subprocess.Popen(words, cwd=WEEK, env=QUIET, **quiet))
        watch = threading.Thread(target=peak, args=(processes, done, found))
        watch.start()
        for process in processes:
            try:
                process.wait(max(0, cap - (time.perf_counter() - start)))
            except subprocess.TimeoutExpired:
                for each in [*psutil.Process(process.pid).children(recursive=True), process]:  # Ray has many
                    each.kill()
                process.wait()
        seconds = time.perf_counter() - start
        done.set()
        watch.join()
        parts = sum(1 for _ in Path(folder).glob("*/part-*"))
        if not parts:
            raise RuntimeError(f"{words} wrote nothing")
        return min(len(lines), parts * CHUNK) / seconds, max(found)


def measure(args: argparse.Namespace) -> list[dict]:
    rows, corpus = [], sentences(args.cola, "train")
    for count in (10_000,) if args.quick else (10_000, 100_000, 1_000_000):
        lines = list(itertools.islice(itertools.cycle(corpus), count))
        measured = {name: score(lines, *way, CAP) for name, way in WAYS.items()}
        rows += [
            row(f"a file of {count:,} lines", "lines/s", {name: rate for name, (rate, _) in measured.items()}, "more"),
            row(f"its memory, {count:,} lines", "MB", {name: memory for name, (_, memory) in measured.items()}),
        ]
    return rows


if __name__ == "__main__":
    run(measure, __doc__)
