"""What the log of predictions costs the service of week 9: processor time of a request, with the log and without.

    python benchmarks/logging_cost.py --model MODEL.onnx       # made by week 9's pipeline

One real uvicorn, asked by one client over one connection, whose log is turned on and off every 20 requests: two
services would differ by some per cent for no other reason than where their memory lies. Processor time of the server
is counted, not the time on the clock: it is what limits throughput, and other work on the machine changes it less.
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
from pathlib import Path
from urllib.parse import quote

import pandas as pd

WEEK = Path(__file__).resolve().parent.parent / "week_9_monitoring"
ROUNDS, REQUESTS = 300, 20  # short turns: what else the machine does comes and goes
SERVER = """
import sys, uvicorn
from app import app
logs = {}

@app.get("/log/{on}")
async def switch(on: int):
    recorder = app.state.predictor
    logs.setdefault(1, recorder.log)
    recorder.log = logs[1] if on else None

uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error")
"""


def processor_time(process: int) -> float:
    """Of all threads of a process, in s; Linux alone counts it this finely."""
    return sum(int(thread.read_text().split()[0]) for thread in Path(f"/proc/{process}/task").glob("*/schedstat")) / 1e9


def measure(process: int, port: int, sentences: list[str]) -> list[list[float]]:
    """Processor time of a request, in s, without and with the log, in each round."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(path: str) -> None:
        connection.request("GET", path)
        connection.getresponse().read()

    while True:
        try:
            connection.connect()
            break
        except OSError:
            time.sleep(0.1)
    rounds = []
    for _ in range(ROUNDS):
        costs = []
        for on in (0, 1):
            get(f"/log/{on}")
            before = processor_time(process)
            for sentence in sentences:
                get(f"/predict?text={quote(sentence)}")
            costs.append((processor_time(process) - before) / len(sentences))
        rounds.append(costs)
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="an exported model, its tokenizer beside it")
    model = parser.parse_args().model.absolute()
    sentences = pd.read_csv(WEEK / "bundled/validation.csv")["sentence"].tolist()[:REQUESTS]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"MODEL": str(model), "COLA_LOG": f"{folder}/log.jsonl", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", SERVER, str(port)]
        with subprocess.Popen(command, cwd=WEEK, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                rounds = measure(process.pid, port, sentences)
            finally:
                process.kill()
    without, with_log = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(json.dumps({"requests": 2 * ROUNDS * len(sentences), "cpu_ms_without": round(without * 1e3, 4),
                      "cpu_ms_with": round(with_log * 1e3, 4), "cost": round(with_log / without - 1, 4)}))  # fmt: skip


if __name__ == "__main__":
    main()
