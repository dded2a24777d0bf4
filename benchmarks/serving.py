"""Requests a second, latency, memory and cold start under 16 clients: week 5's service, LitServe, BentoML, padding.

LitServe and BentoML serve transformers' pipeline, as their quick starts do, and then the course's own predictor, which
leaves the servers alone to compare. The servers run one after the other, in several rounds.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from urllib.parse import quote

import psutil
from course import HERE, QUIET, RIVALS, ROOT, model, row, run, sentences

CLIENTS = 16
SERVERS = HERE / "servers"
WEEK_5 = ROOT / "week_5_docker"
LITSERVE = ["litserve_server.py", "{port}"]
BENTOML = ["-m", "bentoml", "serve", "bentoml_service:Judge", "--port", "{port}"]
UVICORN = ["--port", "{port}", "--no-access-log", "--log-level", "error"]
SERVICES = {  # the command, and which model
    "the course": (["-m", "uvicorn", "app:app", *UVICORN], "model.onnx"),
    "padded to 128": (["-m", "uvicorn", "padded_app:app", *UVICORN], "model.fp32.onnx"),
    "LitServe, its pipeline": (LITSERVE, "hf"),
    "LitServe, our predictor": (LITSERVE, "model.onnx"),
    "BentoML, its pipeline": (BENTOML, "hf"),
    "BentoML, our predictor": (BENTOML, "model.onnx"),
}


def request(text: str, command: list[str]) -> bytes:
    """The sentence as HTTP; the course and the padding app take it by GET, the others by POST."""
    if "uvicorn" in command:
        return f"GET /predict?text={quote(text)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    body = json.dumps({"text": text}).encode()
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


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
    """The latencies, in ms, that so many clients at once have seen; each sends one request at least."""
    until, ms = time.perf_counter() + seconds, []
    await asyncio.gather(*(client(port, requests, until, ms) for _ in range(clients)))
    return ms


def first_answer(port: int, requests: list[bytes]) -> None:
    while True:
        try:
            return asyncio.run(asyncio.wait_for(load(port, requests, 1, 0.001), 5))
        except (OSError, asyncio.IncompleteReadError, TimeoutError, RuntimeError):
            time.sleep(0.05)


def megabytes(server: subprocess.Popen) -> float:
    """The memory of all processes of a server; what they share is counted once."""
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes) / 1e6


def serve(rival: str, texts: list[str], seconds: float) -> dict:
    """Start a server, wait for its first answer, load it, stop it."""
    command, file = SERVICES[rival]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = str(model("stand-in") / file)
    places = {"MODEL": path, "RIVAL_MODEL": path, "PYTHONPATH": os.pathsep.join([str(WEEK_5), str(SERVERS)])}
    requests = [request(text, command) for text in texts]
    python = sys.executable if "uvicorn" in command else str(RIVALS / "bin/python")
    words = [python, *(word.format(port=port) for word in command)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start = time.perf_counter()
    with subprocess.Popen(words, cwd=SERVERS, env=QUIET | places | {"BENTOML_DO_NOT_TRACK": "1"}, **quiet) as server:
        try:
            first_answer(port, requests)
            cold = time.perf_counter() - start
            asyncio.run(load(port, requests, CLIENTS, seconds / 5))  # warm up
            ms = asyncio.run(load(port, requests, CLIENTS, seconds))
            return {"cold": cold, "ms": ms, "rate": len(ms) / seconds, "memory": megabytes(server)}
        finally:
            for process in psutil.Process(server.pid).children(recursive=True):
                process.terminate()
            server.terminate()


def measure(args: argparse.Namespace) -> list[dict]:
    texts = sentences(args.cola)
    rounds, seconds = (1, 4) if args.quick else (5, 6)
    found = {rival: [] for rival in SERVICES}
    for _ in range(rounds):
        for rival in SERVICES:
            found[rival].append(serve(rival, texts, seconds))
    median = {
        key: {rival: statistics.median(run[key] for run in runs) for rival, runs in found.items()}
        for key in ("cold", "rate", "memory")
    }
    ms = {rival: [each for run in runs for each in run["ms"]] for rival, runs in found.items()}
    return [
        row(f"serving {CLIENTS} clients", "requests/s", median["rate"], "more"),
        row(f"serving {CLIENTS} clients, p99", "ms", {r: statistics.quantiles(v, n=100)[98] for r, v in ms.items()}),
        row("memory of the service", "MB", median["memory"]),
        row("from start to the first answer", "s", median["cold"]),
    ]


if __name__ == "__main__":
    run(measure, __doc__)
