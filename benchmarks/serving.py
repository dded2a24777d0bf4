"""Requests a second and latency of the web service, against an app that pads every sentence to 128 tokens.

    python benchmarks/serving.py --model week_5_docker/models/model.onnx --data DIR [--seconds 30] [--clients 16]

They run under the same uvicorn, one after the other: the service with the model that it serves (int8, as a rule), the
service with the fp32 export beside it, and the padding app at the end of this file with that fp32 export too. The
clients are one process that only sends and counts, on the sentences of validation.csv in DIR; the last column is its
share of the processor time.
"""

import argparse
import asyncio
import csv
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import psutil

HERE = Path(__file__).resolve()
WEEK = HERE.parent.parent / "week_5_docker"
FIXED_WIDTH = 128  # tokens


async def client(port: int, requests: list[bytes], until: float, latencies: list[float]) -> int:
    """Send requests over one connection, each when the one before is answered; returns the number of errors."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    errors = 0
    for request in random.sample(requests, len(requests)) * 1000:
        started = time.perf_counter()
        if started > until:
            break
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        latencies.append(time.perf_counter() - started)
        errors += not (head.startswith(b"HTTP/1.1 200") and b'"label"' in body)
    writer.close()
    return errors


def load(port: int, requests: list[bytes], clients: int, seconds: float) -> tuple[list[float], int]:
    """The latencies (s) and the number of errors of so many clients at once."""
    latencies: list[float] = []

    async def together() -> int:
        until = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(client(port, requests, until, latencies) for _ in range(clients))))

    return latencies, asyncio.run(together())


def measure(name: str, app: list[str], model: Path, requests: list[bytes], arguments) -> None:
    """Start an app as uvicorn's arguments name it, load it, and print a line of the table."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", *app, "--port", str(port), "--no-access-log", "--log-level", "error"]
    environment = os.environ | {"MODEL": str(model), "ORT_DISABLE_TELEMETRY": "1"}
    environment["PYTHONPATH"] = f"{WEEK}{os.pathsep}{HERE.parent}"
    with subprocess.Popen(command, env=environment) as server:
        try:
            while server.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.1)
            process, own = psutil.Process(server.pid), psutil.Process()
            load(port, requests, arguments.clients, arguments.seconds / 10)  # warm up
            before, own_before, used_before = process.memory_info().rss, own.cpu_times(), process.cpu_times()
            latencies, errors = load(port, requests, arguments.clients, arguments.seconds)
            after, own_after, used_after = process.memory_info().rss, own.cpu_times(), process.cpu_times()
        finally:
            server.terminate()
    cost, used = (sum(b[:2]) - sum(a[:2]) for a, b in ((own_before, own_after), (used_before, used_after)))
    p99 = statistics.quantiles(latencies, n=100)[98]
    print(
        f"{name:<20}{len(latencies) / arguments.seconds:>11.0f}{1000 * statistics.median(latencies):>9.1f}"
        f"{1000 * p99:>9.1f}{errors:>8}{before / 1e6:>9.0f} -> {after / 1e6:.0f}{cost / (cost + used):>12.0%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, metavar="FILE", help="models/model.onnx of week 5")
    parser.add_argument("--data", default=WEEK / "bundled", type=Path, metavar="DIR", help="default: the stand-ins")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    with (arguments.data / "validation.csv").open(encoding="utf-8", newline="") as file:
        sentences = [row["sentence"] for row in csv.DictReader(file)]
    requests = [f"GET /predict?text={quote(text)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for text in sentences]
    random.seed(0)
    served = arguments.model.resolve()
    fp32 = served.with_name("model.fp32.onnx")
    print(f"{'':<20}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}{'memory MB':>16}{'client CPU':>12}")
    measure("the service", ["app:app"], served, requests, arguments)
    measure("the service, fp32", ["app:app"], fp32, requests, arguments)
    measure(f"padded to {FIXED_WIDTH}, fp32", ["serving:padded", "--factory"], fp32, requests, arguments)


def padded():
    """The app that tutorials show: a tokenizer that pads to a fixed width, and ONNX Runtime as it comes."""
    import numpy as np
    import onnxruntime
    from fastapi import FastAPI
    from transformers import PreTrainedTokenizerFast

    from sentences import judgements

    model = Path(os.environ["MODEL"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model.with_name("tokenizer.json")), pad_token="[PAD]")
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    app = FastAPI()

    @app.get("/predict")
    def predict(text: str):
        inputs = tokenizer([text], padding="max_length", truncation=True, max_length=FIXED_WIDTH, return_tensors="np")
        inputs = {name: inputs[name].astype(np.int64) for name in ("input_ids", "attention_mask")}  # (1, 128) each
        ((unacceptable, acceptable),) = session.run(["logits"], inputs)[0]
        return judgements([text], [1 / (1 + np.exp(unacceptable - acceptable))])[0]

    return app


if __name__ == "__main__":
    main()
