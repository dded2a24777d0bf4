"""Once round: drift, alarm, labels, retraining, the comparison, the new model, no alarm. In the folder loop/.

python -m monitoring.retrain_loop                       # what is served: models/model.onnx and its reference
python -m monitoring.retrain_loop training.epochs=2     # another training, whose model may be refused

The drift: learners have found the service whose own languages have no articles. Half of the traffic now comes from
them, and half of their sentences lack every "a", "an" and "the", a mistake that the corpus hardly has. The traffic goes
through the service, on days that are simulated; all else are the commands that a person would type.
"""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient

from app import app
from data import load_corpus

FOLDER, MODELS = Path("loop"), Path("models")  # made anew; what is served
SIZE = 400  # predictions of a window, and sentences of each kind of traffic
LABELLED = 500  # sentences of learners to train with; as many, and as many usual ones, to validate with
ARTICLE = re.compile(r"\b(?:the|an|a) ", re.IGNORECASE)


def run(*command: str | Path, codes: tuple[int, ...] = (0,)) -> int:
    """Show a command and run it; the loop stops where it does not end as it should."""
    print("$ python", *command, flush=True)
    code = subprocess.run([sys.executable, *command], env=os.environ | {"WANDB_MODE": "offline"}).returncode
    return code if code in codes else sys.exit(f"the loop stops: exit code {code}")


def ask(model: Path, log: Path, sentences: list[str], start: datetime) -> None:
    """Let the service judge sentences on two days from `start` on, most of them in the afternoon."""
    print(f"  {len(sentences)} sentences, judged by {model}", flush=True)
    os.environ |= {"MODEL": str(model), "COLA_LOG": str(log), "COLA_PRIVACY": "plain"}
    rng = np.random.default_rng(0)
    requests = np.split(np.array(sentences, dtype=object), np.arange(1, len(sentences), 4))  # of 4 sentences each
    hours = np.sort(rng.integers(0, 2, len(requests)) * 24 + rng.normal(15, 3, len(requests)).clip(0, 23.9))
    with TestClient(app) as client:
        for number, (hour, request) in enumerate(zip(hours, requests, strict=True)):
            app.state.predictor.at = start + timedelta(hours=hour)
            client.post("/predict", json={"sentences": list(request)}).raise_for_status()
            if number % 9 == 0:
                client.get("/predict", params={"text": " "})  # somebody presses Enter too early: refused


def learners(corpus: pd.DataFrame) -> pd.DataFrame:
    """What learners write, and what a teacher says of it: acceptable sentences, half of them without articles."""
    rows = corpus[(corpus["label"] == 1) & corpus["sentence"].str.contains(ARTICLE)].drop_duplicates("sentence").copy()
    bare = rows.index[1::2]
    short = rows.loc[bare, "sentence"].str.replace(ARTICLE, "", regex=True)
    rows.loc[bare, "sentence"] = short.str[:1].str.upper() + short.str[1:]
    rows.loc[bare, "label"] = 0
    return rows.sample(frac=1, random_state=0)


def mixed(*kinds: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """Different rows, as many of each kind."""
    rows = pd.concat([kind.sample(size // len(kinds), random_state=seed) for kind in kinds])
    return rows.sample(frac=1, random_state=seed)


def main(overrides: list[str]) -> None:
    if not (MODELS / "reference.jsonl").exists():
        sys.exit(f"{MODELS / 'reference.jsonl'} not found: run dvc repro, or python -m monitoring.drift")
    served, new, corpus, log = (FOLDER / name for name in ("served", "new", "corpus", "logs/predictions.jsonl"))
    shutil.rmtree(FOLDER, ignore_errors=True)
    for place in (served, corpus, log.parent):
        place.mkdir(parents=True)
    for name in ("model.onnx", "reference.jsonl"):
        shutil.copy(MODELS / name, served)
    days = [datetime.now(UTC).replace(hour=0, minute=0) - timedelta(days=ago) for ago in (6, 4, 2)]
    bundled = load_corpus("bundled")
    train, usual = bundled["train"].to_pandas(), bundled["validation"].to_pandas()
    strange = learners(train)
    to_train, to_validate, unseen = strange[:LABELLED], strange[LABELLED : 2 * LABELLED], strange[2 * LABELLED :]
    monitor = ["-m", "monitoring.monitor", log, "--reference", served / "reference.jsonl", "--window", str(SIZE)]

    print("== 1. The usual traffic")
    first = mixed(usual, size=SIZE, seed=1)
    ask(served / "model.onnx", log, list(first["sentence"]), days[0])
    run(*monitor)
    print("== 2. The learners come: drift")
    second = mixed(usual, unseen, size=SIZE, seed=2)
    ask(served / "model.onnx", log, list(second["sentence"]), days[1])
    run(*monitor, codes=(1,))
    print("== 3. Labels come in, and a new model learns from some more of the learners' sentences")
    pd.concat([first, second]).to_csv(FOLDER / "labels.csv", index=False)
    run(*monitor, "--labels", FOLDER / "labels.csv", codes=(1,))
    pd.concat([train, to_train]).to_csv(corpus / "train.csv", index=False)
    mixed(usual, to_validate, size=2 * LABELLED, seed=3).to_csv(corpus / "validation.csv", index=False)
    run("train.py", f"source={corpus}", f"output={new}", f"reports={FOLDER / 'reports'}", *overrides)
    convert = ["--checkpoint", new / "best-checkpoint.ckpt", "--output", new, "--report", new / "export.json"]
    run("convert_model_to_onnx.py", *convert)
    run("-m", "monitoring.drift", "--model", new / "model.onnx", "--output", new / "reference.jsonl")
    print("== 4. Is it better?")
    comparison = ["-m", "monitoring.compare_models", new / "model.onnx", served / "model.onnx"]
    if run(*comparison, "--new", corpus, "--old", "bundled", codes=(0, 1)):
        sys.exit(1)
    print("== 5. The new model is served; the learners are still there")
    for name in ("model.onnx", "reference.jsonl"):
        shutil.copy(new / name, served)
    third = mixed(usual, unseen, size=SIZE, seed=4)
    ask(served / "model.onnx", log, list(third["sentence"]), days[2])
    third.to_csv(FOLDER / "labels.csv", index=False)
    run(*monitor, "--labels", FOLDER / "labels.csv")


if __name__ == "__main__":
    main(sys.argv[1:])
