"""How good is the trained model? Accuracy and MCC on the validation set, beside the majority baseline.

python evaluate.py
python evaluate.py --json
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from data import load_corpus
from errors import InputError, friendly_errors
from inference import CHECKPOINT, ColaPredictor
from model import validation_metrics
from sources import BUNDLED, HUB_DATASET

GROUPS = "phenomena.json"  # a data folder may say which rows of its validation set belong together


def evaluate(scores: np.ndarray, corpus: dict[str, pd.DataFrame], place: str | Path) -> dict:
    """Accuracy and MCC on the validation set, and those of always giving the commonest label of the training set.

    Args:
        scores: P(acceptable) (N,) of the sentences of the validation set.
        corpus: as `load_corpus(place)` gives it.
        place: the data set's name or folder; a folder may hold `phenomena.json`.

    Returns:
        `sentences` (their number), `model`, `majority`, and one entry a kind of held-out material where the data
        folder tells them apart; each but the first is a dictionary of `accuracy` (0 to 1) and `mcc` (-1 to 1).
    """
    labels = torch.tensor(corpus["validation"]["label"].to_numpy())  # (N,)
    answers = torch.from_numpy(scores >= 0.5).long()  # (N,)
    majority = torch.full_like(labels, int(corpus["train"]["label"].mode()[0]))
    results = {"sentences": len(labels), "model": measure(answers, labels), "majority": measure(majority, labels)}
    for name, rows in held_out_groups(place, corpus).items():
        results[f"held-out {name}"] = measure(answers[rows], labels[rows])
    return results


def measure(answers: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy and MCC of class ids (N,) against labels (N,)."""
    return {name: round(float(value), 4) for name, value in validation_metrics()(answers, labels).items()}


def held_out_groups(place: str | Path, corpus: dict[str, pd.DataFrame]) -> dict[str, list[int]]:
    """Row numbers of the validation set by what was held out of training; empty where the folder does not say.

    Raises:
        InputError: the folder's file is damaged, or speaks of rows that there are not.
    """
    path = Path(place, GROUPS)
    groups: dict[str, list[int]] = {}
    if path.is_file():
        try:
            for entry in json.loads(path.read_text(encoding="utf-8"))["validation"]:
                groups.setdefault(entry["held_out"], []).extend(range(entry["first_idx"], entry["last_idx"] + 1))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} does not look like {BUNDLED / GROUPS}: delete it") from error
    if any(row >= len(corpus["validation"]) for rows in groups.values() for row in rows):
        raise InputError(f"{path} speaks of more rows than validation.csv has: delete it")
    return groups


def data_of(provenance: dict) -> str | Path:
    """The data that a model was trained on, where it can be found without being told."""
    if provenance["data"] == HUB_DATASET:
        return HUB_DATASET
    if provenance["data"] == "bundled":
        return BUNDLED
    raise InputError(f"the model was trained on a folder called {provenance['data']}: say where it is, --data DIR")


def table(results: dict) -> str:
    """The results as lines of text."""
    rows = [f"{results['sentences']:,} sentences".ljust(22) + "accuracy     MCC"]
    for name, scores in results.items():
        if name != "sentences":
            rows.append(f"{name:<22}{scores['accuracy']:8.3f}{scores['mcc']:8.3f}")
    return "\n".join(rows)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the trained model on the validation set.")
    parser.add_argument("--checkpoint", default=CHECKPOINT, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--data", metavar="DIR", help="default: what the model was trained on")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    predictor = ColaPredictor(arguments.checkpoint)
    place = Path(arguments.data) if arguments.data else data_of(predictor.provenance)
    corpus = load_corpus(place)
    scores = predictor.scores(corpus["validation"]["sentence"].tolist())
    results = evaluate(scores, corpus, place)
    print(json.dumps(results, indent=2) if arguments.json else table(results))


if __name__ == "__main__":
    main()
