"""Week 9's log: what it adds to a request, a million lines as a dashboard, and the forwarder into a real OpenSearch.

The last needs OPENSEARCH_URL. Its rival is opensearch-py's own `bulk`, which has neither ids nor dead letters.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from course import QUIET, WEEK, model, row, run, sentences

from inference_onnx import ColaONNXPredictor
from monitoring import forwarder
from monitoring.import_dashboards import index_template
from monitoring.prediction_log import Recorder

INDEX = "cola-benchmark"  # deleted at the end


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cost_of_a_line(predictor: ColaONNXPredictor, recorder: Recorder, texts: list[str]) -> dict:
    """In turn, each sentence without the log and with it."""
    without, with_log = [], []
    for text in texts * 3:
        without.append(seconds(lambda: predictor.predict([text])))  # noqa: B023  it is called at once
        with_log.append(seconds(lambda: recorder.predict([text])))  # noqa: B023
    medians = {"with the log": statistics.median(with_log), "without": statistics.median(without)}
    return row("a request and its line in the log", "ms", {name: 1000 * value for name, value in medians.items()})


def write_log(path: Path, recorder: Recorder, texts: list[str], lines: int) -> None:
    """A log of so many lines, one a second: those of some sentences again and again, each with an id of its own."""
    recorder.predict(texts)
    events = [json.loads(line) for line in path.read_text().splitlines()[-len(texts) :]]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            event = events[number % len(events)]
            event["event"]["id"] = f"{number:032x}"
            event["@timestamp"] = f"{start + timedelta(seconds=number):%Y-%m-%dT%H:%M:%S}.000Z"
            file.write(json.dumps(event) + "\n")


def dashboard(log: Path, lines: int) -> dict:
    """Beside pandas, which only reads the file."""
    programs = {
        "the dashboard": ["-m", "monitoring.dashboard", str(log)],
        "pandas, read_json alone": ["-c", f"import pandas; pandas.read_json({str(log)!r}, lines=True)"],
    }
    with tempfile.TemporaryDirectory() as folder:
        environment = QUIET | {"PYTHONPATH": str(WEEK)}
        quiet = {"cwd": folder, "env": environment, "stdout": subprocess.DEVNULL, "check": True}
        taken = {name: seconds(lambda: subprocess.run([sys.executable, *p], **quiet)) for name, p in programs.items()}  # noqa: B023
    return row(f"{lines:,} lines of the log as a page", "s", taken)


def forward(log: Path, lines: int, endpoint: str) -> dict:
    import requests
    from opensearchpy import OpenSearch
    from opensearchpy.helpers import bulk

    cluster = OpenSearch(endpoint)
    requests.put(f"{endpoint}/_index_template/cola", json=index_template(), timeout=30).raise_for_status()
    events = [line for _, line in zip(range(lines), log.open(encoding="utf-8"), strict=False)]
    forwarder.INDEX = f"{INDEX}-ours"
    ways = {
        "the forwarder": lambda part: forwarder.forward(part, endpoint),
        "opensearch-py's bulk": lambda part: bulk(
            cluster, ({"_index": f"{INDEX}-theirs", "_source": json.loads(line)} for line in part)
        ),
    }
    taken = dict.fromkeys(ways, 0.0)
    for start in range(0, lines, 5_000):  # in turn
        for name, way in ways.items():
            taken[name] += seconds(lambda: way(events[start : start + 5_000]))  # noqa: B023
    requests.delete(f"{endpoint}/{INDEX}-*", timeout=30)
    return row("the log into OpenSearch", "events/s", {name: lines / value for name, value in taken.items()}, "more")


def measure(args: argparse.Namespace) -> list[dict]:
    texts, endpoint = sentences(args.cola), os.environ.get("OPENSEARCH_URL")
    lines, forwarded = (100_000, 10_000) if args.quick else (1_000_000, 100_000)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "predictions.jsonl")
        os.environ["COLA_LOG"] = str(log)
        predictor = ColaONNXPredictor(model("stand-in") / "model.onnx")
        recorder = Recorder(predictor)
        rows = [cost_of_a_line(predictor, recorder, texts)]
        write_log(log, recorder, texts, lines)
        rows.append(dashboard(log, lines))
        if endpoint:
            rows.append(forward(log, forwarded, endpoint))
        else:
            print("OPENSEARCH_URL is not set: the forwarder is not measured", file=sys.stderr)
    return rows


if __name__ == "__main__":
    run(measure, __doc__)
