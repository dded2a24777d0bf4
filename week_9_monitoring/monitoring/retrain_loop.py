"""Once round: drift, alarm, labels, retraining, the comparison, the new model, no alarm. In the folder loop/.

python -m monitoring.retrain_loop                       # what is served: models/model.onnx and its reference
python -m monitoring.retrain_loop training.epochs=2     # another training, whose model may be refused

The drift: learners have found the service. Half of the sentences are theirs now, and half of those lack every "a", "an"
and "the". All are judged and logged as the service does it, on days that are simulated.
"""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from data import load_corpus
from inference_onnx import ColaONNXPredictor
from monitoring.prediction_log import Recorder

SIZE = 400  # predictions of a window, and sentences of each kind of traffic
LABELLED = 500  # sentences of learners to train with; as many, and as many usual ones, to validate with
ARTICLE = re.compile(r"\b(?:the|an|a) ", re.IGNORECASE)


def run(*command: str | Path, code: int = 0) -> None:
    """Show a command and run it; the loop stops where it does not end as it should."""
    print("$ python", *command, flush=True)
    if subprocess.run([sys.executable, *command], env=os.environ | {"WANDB_MODE": "offline"}).returncode != code:
        sys.exit("the loop stops")


def ask(model: Path, log: Path, rows: pd.DataFrame, days_ago: int) -> None:
    """Judge sentences as the service does, which logs them, spread over two days."""
    os.environ |= {"COLA_LOG": str(log), "COLA_PRIVACY": "plain"}
    start = datetime.now(UTC).replace(hour=0, minute=0) - timedelta(days=days_ago)
    predictor = Recorder(ColaONNXPredictor(model))
    for number, sentence in enumerate(rows["sentence"]):
        predictor.at = start + timedelta(days=2) * number / len(rows)
        predictor.predict([sentence])
        if number % 9 == 0:
            predictor.log_refusal(422, "value_error")  # somebody presses Enter too early


def learners(corpus: pd.DataFrame) -> pd.DataFrame:
    """What learners write, and what a teacher says of it: acceptable sentences, half of them without articles."""
    rows = corpus[(corpus["label"] == 1) & corpus["sentence"].str.contains(ARTICLE)].drop_duplicates("sentence")
    bare = rows["sentence"][1::2].str.replace(ARTICLE, "", regex=True)
    bare = rows[1::2].assign(sentence=bare.str[:1].str.upper() + bare.str[1:], label=0)
    return pd.concat([rows[::2], bare]).sort_index().sample(frac=1, random_state=0)


def mixed(*kinds: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """Different rows, as many of each kind."""
    rows = [kind.sample(size // len(kinds), random_state=seed) for kind in kinds]
    return pd.concat(rows).sample(frac=1, random_state=seed)


def main(overrides: list[str], served: Path = Path("models"), loop: Path = Path("loop")) -> None:
    shutil.rmtree(loop, ignore_errors=True)
    new, corpus, log, labels = (loop / name for name in ("new", "corpus", "logs/predictions.jsonl", "labels.csv"))
    corpus.mkdir(parents=True)
    log.parent.mkdir()
    monitor = ["-m", "monitoring.monitor", log, "--window", str(SIZE), "--reference"]
    train, usual = (load_corpus("bundled")[split].to_pandas() for split in ("train", "validation"))
    strange = learners(train)
    to_train, to_validate, unseen = strange[:LABELLED], strange[LABELLED : 2 * LABELLED], strange[2 * LABELLED :]

    print("== 1. The usual traffic")
    first = mixed(usual, size=SIZE, seed=1)
    ask(served / "model.onnx", log, first, days_ago=6)
    run(*monitor, served / "reference.jsonl")
    print("== 2. The learners come: drift")
    second = mixed(usual, unseen, size=SIZE, seed=2)
    ask(served / "model.onnx", log, second, days_ago=4)
    run(*monitor, served / "reference.jsonl", code=1)
    print("== 3. Labels come in, and a new model learns from some more of the learners' sentences")
    pd.concat([first, second]).to_csv(labels, index=False)
    run(*monitor, served / "reference.jsonl", "--labels", labels, code=1)
    pd.concat([train, to_train]).to_csv(corpus / "train.csv", index=False)
    mixed(usual, to_validate, size=2 * LABELLED, seed=3).to_csv(corpus / "validation.csv", index=False)
    run("train.py", f"source={corpus}", f"output={new}", f"reports={loop / 'reports'}", *overrides)
    convert = ["--checkpoint", new / "best-checkpoint.ckpt", "--output", new, "--report", new / "export.json"]
    run("convert_model_to_onnx.py", *convert)
    run("-m", "monitoring.drift", "--model", new / "model.onnx", "--output", new / "reference.jsonl")
    print("== 4. Is it better?")
    compare = ["-m", "monitoring.compare_models", new / "model.onnx", served / "model.onnx"]
    run(*compare, "--new", corpus, "--old", "bundled")
    print("== 5. The new model is served; the learners are still there")
    third = mixed(usual, unseen, size=SIZE, seed=4)
    ask(new / "model.onnx", log, third, days_ago=2)
    third.to_csv(labels, index=False)
    run(*monitor, new / "reference.jsonl", "--labels", labels)


if __name__ == "__main__":
    main(sys.argv[1:])
