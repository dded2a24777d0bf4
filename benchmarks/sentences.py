"""How long one sentence takes, and a batch of 64: the course's predictor beside those that people use.

Each rival is called as its quick start shows, in a process of its own and with the threads that it comes with. The
course's predictor takes one. All are asked in turn, a few sentences at a time: a busy moment meets all of them.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from course import HERE, QUIET, RIVALS, SIZES, model, row, run, sentences

Judge = Callable[[list[str]], object]


def ours(folder: Path, file: str) -> Judge:
    from inference_onnx import ColaONNXPredictor

    return ColaONNXPredictor(folder / file).predict


def pipeline(folder: Path) -> Judge:
    from transformers import pipeline

    return pipeline("text-classification", model=str(folder / "hf"))


def optimum(folder: Path) -> Judge:
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer

    classifier = ORTModelForSequenceClassification.from_pretrained(folder / "hf", export=True)
    tokenizer = AutoTokenizer.from_pretrained(folder / "hf")
    return lambda batch: classifier(**tokenizer(batch, padding=True, return_tensors="pt")).logits


def runtime(folder: Path, **padding) -> Judge:
    import onnxruntime
    from transformers import AutoTokenizer

    session = onnxruntime.InferenceSession(folder / "model.fp32.onnx")
    tokenizer = AutoTokenizer.from_pretrained(folder / "hf")
    names = ("input_ids", "attention_mask")

    def judge(batch: list[str]):
        tokens = tokenizer(batch, truncation=True, return_tensors="np", **padding)
        return session.run(["logits"], {name: tokens[name] for name in names})

    return judge


WAYS = {
    "the course, int8": lambda folder: ours(folder, "model.onnx"),
    "the course, fp32": lambda folder: ours(folder, "model.fp32.onnx"),
    "ONNX Runtime, transformers' tokenizer": lambda folder: runtime(folder, padding=True),
    "ONNX Runtime, padded to 128": lambda folder: runtime(folder, padding="max_length", max_length=128),
    "optimum": optimum,
    "transformers' pipeline": pipeline,
}


def work(rival: str, folder: Path) -> None:
    """The process of a rival: for each line of batches that comes, the seconds that each of them took."""
    answers, sys.stdout = sys.stdout, sys.stderr
    judge = WAYS[rival](folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        seconds = []
        for batch in json.loads(line):
            start = time.perf_counter()
            judge(batch)
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), file=answers, flush=True)


def start(rival: str, folder: Path) -> subprocess.Popen:
    python = RIVALS / "bin/python" if rival == "optimum" else sys.executable
    command = [python, HERE / "sentences.py", "--rival", rival, folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=QUIET, text=True, **pipes)
    if process.stdout.readline() != "ready\n":
        print(f"{rival} did not start", file=sys.stderr)
    return process


def ask(process: subprocess.Popen, batches: list[list[str]]) -> list[float]:
    print(json.dumps(batches), file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())


def measure(args: argparse.Namespace) -> list[dict]:
    texts, rows, chance = sentences(args.cola), [], random.Random(0)
    rounds, one_by_one = (8, 20) if args.quick else (40, 25)
    for name, size in SIZES.items():
        started = {rival: start(rival, model(name)) for rival in WAYS}
        processes = {rival: process for rival, process in started.items() if process.poll() is None}
        singles, batches = ({rival: [] for rival in processes} for _ in range(2))  # seconds
        for turn in range(rounds + 1):
            asked = [[text] for text in chance.sample(texts, one_by_one)]
            batch = [chance.sample(texts, 64)]
            for rival, process in processes.items():
                if turn:  # the first warms up
                    singles[rival] += ask(process, asked)
                    batches[rival] += ask(process, batch) if turn % 4 == 0 else []  # some take seconds
                else:
                    ask(process, asked + batch)
        for process in processes.values():
            process.stdin.close()
            process.wait()
        ms = {rival: [1000 * s for s in seconds] for rival, seconds in singles.items()}
        p99 = {rival: statistics.quantiles(values, n=100)[98] for rival, values in ms.items()}
        rows += [
            row(f"one sentence, p50 ({size})", "ms", {r: statistics.median(v) for r, v in ms.items()}),
            row(f"one sentence, p99 ({size})", "ms", p99),
            row(f"64 sentences ({size})", "ms", {r: 1000 * statistics.median(v) for r, v in batches.items()}),
        ]
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rival"]:
        work(sys.argv[2], Path(sys.argv[3]))
    else:
        run(measure, __doc__)
