"""The whole loop, in a folder of its own: drift, alert, labels, `dvc repro`, gate, the new model, no alert.

    python loop.py                                          # what is served: models/, with its reference.json
    python loop.py --overrides training.epochs=5            # a shorter training, which the gate may refuse

The drift: learners have found the service whose own languages have no articles. Half of the traffic now comes from
them, and half of their sentences lack every "a", "an" and "the", a mistake that the corpus hardly has. The traffic goes
over HTTP through the real service; all else are the commands that a person would type.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from data import load_corpus
from errors import InputError, friendly_errors
from sources import BUNDLED

WEEK = Path(__file__).resolve().parent
FOLDER = Path("loop")
SERVED = ("model.onnx", "tokenizer.json", "reference.json")
SIZE = 400  # predictions of a window, and sentences of each kind of traffic
LABELLED = 500  # sentences of learners to train with; as many, and as many usual ones, to validate with
BATCH = 50  # sentences of a request
ARTICLE = re.compile(r"\b(?:the|an|a) ", re.IGNORECASE)
LEFT_OUT = shutil.ignore_patterns("models", "reports", "loop", "logs", "wandb", "outputs", "multirun", "cache", "tmp",
                                  "storage", "config.local", "*.lock", "tests", ".venv", "__pycache__")  # fmt: skip


def run(folder: Path, *command: str, codes: tuple[int, ...] = (0,)) -> int:
    """Show a command, run it, and return its exit code.

    Raises:
        InputError: it is none of `codes`.
    """
    print(f"$ {' '.join(command)}", flush=True)
    program = [sys.executable] if command[0] == "python" else [sys.executable, "-m", command[0]]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # of the python that dvc repro finds
    environment = os.environ | {"WANDB_MODE": "offline", "PATH": path}
    code = subprocess.run([*program, *command[1:]], cwd=folder, env=environment).returncode
    if code not in codes:
        raise InputError(f"the loop stops: this ended with exit code {code}, not {' or '.join(map(str, codes))}")
    return code


@contextmanager
def service(model: Path, log: Path) -> Iterator[str]:
    """The service with a model, on a free port; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "uvicorn", "app:app", "--no-access-log", "--port", address.rsplit(":", 1)[1]]
    environment = os.environ | {"MODEL": str(model), "COLA_LOG": str(log), "COLA_PRIVACY": "plain"}
    with subprocess.Popen(command, cwd=WEEK, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=60).close()
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                raise InputError(f"the service did not start: MODEL={model} uvicorn app:app says why")
            yield address
        finally:
            process.terminate()


def ask(model: Path, log: Path, sentences: list[str]) -> None:
    """Let the service judge sentences."""
    print(f"  {len(sentences)} sentences are judged by {model.parent.name}/{model.name}", flush=True)
    with service(model, log) as address:
        for start in range(0, len(sentences), BATCH):
            body = json.dumps({"sentences": sentences[start : start + BATCH]}).encode()
            request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=60).close()


def learners(corpus: pd.DataFrame) -> pd.DataFrame:
    """What learners write, and what a teacher says of it: acceptable sentences, half of them without articles."""
    rows = corpus[(corpus["label"] == 1) & corpus["sentence"].str.contains(ARTICLE)].drop_duplicates("sentence").copy()
    bare = rows.index[1::2]
    rows.loc[bare, "sentence"] = [
        text[0].upper() + text[1:] for text in rows.loc[bare, "sentence"].map(lambda text: ARTICLE.sub("", text))
    ]
    rows.loc[bare, "label"] = 0
    return rows


def mixed(*kinds: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """Different rows, as many of each kind."""
    rows = pd.concat([kind.sample(size // len(kinds), random_state=seed) for kind in kinds])
    return rows.sample(frac=1, random_state=seed)[["sentence", "label"]]


def loop(folder: Path, models: Path, overrides: str) -> None:
    """Go round once; each step says what it does.

    Raises:
        InputError: a step did not end as it should.
    """
    for name in SERVED:
        if not (models / name).is_file():
            raise InputError(f"{models / name} not found: run dvc repro first, or train, convert, and reference.py")
    if folder.exists() and not (folder / "loop.py").is_file():
        raise InputError(f"{folder} is there and is not of an earlier loop: choose another --folder")
    if WEEK.is_relative_to(folder.resolve()):
        raise InputError(f"{folder} holds this week: choose another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(WEEK, folder, ignore=LEFT_OUT)
    served, log = (folder / "served").absolute(), (folder / "logs/predictions.jsonl").absolute()
    served.mkdir()
    log.parent.mkdir()
    for name in SERVED:
        shutil.copy(models / name, served)
    corpus = load_corpus(BUNDLED)
    usual, new = corpus["validation"], learners(corpus["train"]).sample(frac=1, random_state=0)
    to_train, to_validate, unseen = new[:LABELLED], new[LABELLED : 2 * LABELLED], new[2 * LABELLED :]
    alert = ("python", "monitor.py", "--reference", "served/reference.json", "--window", str(SIZE))

    print("== 1. The usual traffic")
    ask(served / "model.onnx", log, mixed(usual, size=SIZE, seed=1)["sentence"].tolist())
    run(folder, *alert)
    print("== 2. The learners come: drift")
    ask(served / "model.onnx", log, mixed(usual, unseen, size=SIZE, seed=2)["sentence"].tolist())
    run(folder, *alert, codes=(1,))
    print("== 3. Of what has come, some is labelled: half of it to learn from, half as the new validation set")
    data = folder / "bundled"
    shutil.copytree(data, folder / "before")
    (data / "phenomena.json").unlink(missing_ok=True)  # which speaks of the rows that were there
    validation = mixed(usual, to_validate, size=2 * LABELLED, seed=3)
    validation.to_csv(data / "validation.csv", index=False)
    pd.concat([corpus["train"], to_train])[["sentence", "label"]].to_csv(data / "train.csv", index=False)
    print(f"  {len(to_train)} more sentences to learn from, {len(validation)} to validate with")
    parameters = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(parameters.replace('overrides: ""', f"overrides: {json.dumps(overrides)}"))
    run(folder, "dvc", "config", "--local", "core.no_scm", "true")
    run(folder, "dvc", "repro", "--quiet")
    print("== 4. The gate")
    run(folder, "python", "gate.py", "models/model.onnx", "served/model.onnx", "--data", "bundled", "--keep", "before")
    for name in SERVED:
        shutil.copy(folder / "models" / name, served)
    print("== 5. The new model is served; the learners are still there")
    ask(served / "model.onnx", log, mixed(usual, unseen, size=SIZE, seed=4)["sentence"].tolist())
    run(folder, *alert)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Drift, alert, retraining, gate, new model: once round.")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--overrides", default="", metavar="KEYS", help="of the training, as in params.yaml")
    parser.add_argument("--folder", type=Path, default=FOLDER, metavar="DIR", help="made anew; default: %(default)s")
    arguments = parser.parse_args()
    lock = FileLock(f"{arguments.folder.resolve()}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{arguments.folder} is in use by another loop: wait, or choose another --folder") from None
    except OSError as error:
        raise InputError(f"{lock.lock_file} cannot be written ({error.strerror}): choose another --folder") from None
    with lock:
        loop(arguments.folder, arguments.models, arguments.overrides)


if __name__ == "__main__":
    main()
