"""What the log of predictions costs the service of week 9: processor time of a request, with the log and without.

    python benchmarks/logging_cost.py --model MODEL.onnx       # made by week 9's pipeline

One real uvicorn each way, asked by one client over one connection, in turns, so that what else the machine does hits
both alike. Processor time of the server is counted, not the time on the clock: it is what limits throughput, and other
work on the machine does not change it much.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pandas as pd

WEEK = Path(__file__).resolve().parent.parent / "week_9_monitoring"
ROUNDS, REQUESTS = 200, 20  # short turns: what else the machine does comes and goes


def processor_time(process: int) -> float:
    """Of all threads of a process, in s; Linux alone counts it this finely."""
    return sum(int(thread.read_text().split()[0]) for thread in Path(f"/proc/{process}/task").glob("*/schedstat")) / 1e9


@contextmanager
def served(model: Path, log: str):
    """A service, as a function that asks it for N sentences and returns its processor time, in s a request."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--no-access-log"]
    environment = os.environ | {"MODEL": str(model), "COLA_LOG": log, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=WEEK, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            while True:
                try:
                    connection.connect()
                    break
                except OSError:
                    time.sleep(0.1)

            def ask(sentences: list[str]) -> float:
                connection.close()  # the service closes it when it is idle for 5 s; the next request opens it again
                connection.request("GET", "/health")
                connection.getresponse().read()
                before = processor_time(process.pid)
                for sentence in sentences:
                    connection.request("GET", f"/predict?text={quote(sentence)}")
                    connection.getresponse().read()
                return (processor_time(process.pid) - before) / len(sentences)

            yield ask
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="an exported model, its tokenizer beside it")
    model = parser.parse_args().model.absolute()
    sentences = pd.read_csv(WEEK / "bundled/validation.csv")["sentence"].tolist()[:REQUESTS]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        asks = {place: stack.enter_context(served(model, place)) for place in ("off", f"{folder}/log.jsonl")}
        for ask in asks.values():
            ask(sentences * 10)  # warm
        rounds = [[ask(sentences) for ask in asks.values()] for _ in range(ROUNDS)]
    without, with_log = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(json.dumps({"requests": 2 * ROUNDS * len(sentences), "cpu_ms_without": round(without * 1e3, 4),
                      "cpu_ms_with": round(with_log * 1e3, 4), "cost": round(with_log / without - 1, 4)}))  # fmt: skip


if __name__ == "__main__":
    main()
