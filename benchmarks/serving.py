"""Requests a second and latency of week 5's service, against the app that tutorials show: padding to 128 tokens.

python benchmarks/serving.py week_5_docker/models/model.onnx [--seconds 30] [--clients 16]

Both run under the same uvicorn, one after the other: the service with the model that it serves, then with the fp32
export beside it, then the padding app, at the end of this file, with that export too.
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

WEEK = Path(__file__).resolve().parent.parent / "week_5_docker"
WIDTH = 128  # tokens


async def client(port: int, requests: list[bytes], until: float, ms: list[float]) -> None:
    """Send requests over one connection, each when the one before is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (started := time.perf_counter()) < until:
        writer.write(random.choice(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        ms.append(1000 * (time.perf_counter() - started))
        if b'"label"' not in body:
            raise RuntimeError(body.decode())
    writer.close()


async def load(port: int, requests: list[bytes], clients: int, seconds: float) -> list[float]:
    """The latencies, in ms, that so many clients at once have seen."""
    until, ms = time.perf_counter() + seconds, []
    await asyncio.gather(*(client(port, requests, until, ms) for _ in range(clients)))
    return ms


def measure(name: str, app: list[str], model: Path, requests: list[bytes], args: argparse.Namespace) -> None:
    """Start an app as uvicorn's arguments name it, load it, and print a line of the table."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", *app, "--port", str(port), "--no-access-log", "--log-level", "error"]
    environment = os.environ | {"MODEL": str(model), "PYTHONPATH": f"{WEEK}{os.pathsep}{Path(__file__).parent}"}
    with subprocess.Popen(command, cwd=WEEK, env=environment) as server:
        try:
            while server.poll() is None and socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.1)
            asyncio.run(load(port, requests, args.clients, args.seconds / 10))  # warm up
            ms = asyncio.run(load(port, requests, args.clients, args.seconds))
        finally:
            server.terminate()
    p99 = statistics.quantiles(ms, n=100)[98]
    print(f"{name:<20}{len(ms) / args.seconds:>11.0f}{statistics.median(ms):>9.1f}{p99:>9.1f}", flush=True)


def padded():
    """The usual app: a tokenizer that pads to a fixed width, and ONNX Runtime as it comes."""
    import json

    import numpy as np
    import onnxruntime
    from fastapi import FastAPI
    from tokenizers import Tokenizer

    session = onnxruntime.InferenceSession(os.environ["MODEL"], providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    tokenizer = Tokenizer.from_str(facts["tokenizer"])
    tokenizer.enable_truncation(WIDTH)
    tokenizer.enable_padding(length=WIDTH)
    app = FastAPI()

    @app.get("/predict")
    def predict(text: str) -> dict:
        tokens = tokenizer.encode(text)
        inputs = {"input_ids": np.array([tokens.ids]), "attention_mask": np.array([tokens.attention_mask])}  # (1, 128)
        ((unacceptable, acceptable),) = session.run(["logits"], inputs)[0]
        score = float(1 / (1 + np.exp(unacceptable - acceptable)))
        return {"sentence": text, "label": json.loads(facts["labels"])[score >= 0.5], "score": score}

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", type=Path, help="model.onnx of week 5, with model.fp32.onnx beside it")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--clients", type=int, default=16)
    args = parser.parse_args()
    with (WEEK / "bundled/validation.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["sentence"] for row in csv.DictReader(file)]
    requests = [f"GET /predict?text={quote(text)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for text in texts]
    served = args.model.resolve()
    fp32 = served.with_name("model.fp32.onnx")
    print(f"{'':<20}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}")
    measure("the service", ["app:app"], served, requests, args)
    measure("the service, fp32", ["app:app"], fp32, requests, args)
    measure(f"padded to {WIDTH}, fp32", ["serving:padded", "--factory"], fp32, requests, args)
