"""How good is the trained model? Accuracy and MCC on the validation set, beside the majority baseline.

python evaluate.py
"""

import argparse
import json
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from data import load_corpus
from inference import CHECKPOINT, ColaPredictor
from model import quality
from report import write_report
from sources import BUNDLED


def judge(checkpoint: str | Path, source: str) -> pd.DataFrame:
    """The validation set with the model's answers: `sentence`, `label` (0 or 1) and `score`, P(acceptable)."""
    corpus = load_corpus(source)["validation"].select_columns(["sentence", "label"])
    scores = ColaPredictor(checkpoint).logits(list(corpus["sentence"])).softmax(dim=1)[:, 1]  # (N,)
    return corpus.to_pandas().assign(score=scores.numpy())


def evaluate(judged: pd.DataFrame, source: str) -> dict[str, dict[str, float]]:
    """`accuracy` (0 to 1) and `mcc` (-1 to 1) of the model, of the majority's label, and on what is new."""
    scores, labels = torch.tensor(judged["score"].to_numpy()), torch.tensor(judged["label"].to_numpy())  # (N,), (N,)

    def measure(answers: Tensor, rows=slice(None)) -> dict[str, float]:
        return {name: round(float(value), 4) for name, value in quality()(answers[rows], labels[rows]).items()}

    results = {"model": measure(scores), "majority": measure(labels.mode().values.expand(len(labels)))}
    return results | {f"held-out {name}": measure(scores, rows) for name, rows in held_out(source).items()}


def held_out(source: str) -> dict[str, list[int]]:
    """Rows of the stand-ins' validation set by what training has not seen of them: words, or sentence patterns."""
    groups = {}
    if source == "bundled":
        for entry in json.loads((BUNDLED / "phenomena.json").read_text())["validation"]:
            groups.setdefault(entry["held_out"], []).extend(range(entry["first_idx"], entry["last_idx"] + 1))
    return groups


def table(results: dict[str, dict[str, float]]) -> str:
    rows = [f"{name:<22}{scores['accuracy']:8.3f}{scores['mcc']:8.3f}" for name, scores in results.items()]
    return "\n".join([f"{'':<22}accuracy     MCC", *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the trained model on the validation set.")
    parser.add_argument("--checkpoint", default=CHECKPOINT, help="default: %(default)s")
    parser.add_argument("--source", help="bundled, hub, or a folder; default: what it was trained on")
    parser.add_argument("--reports", type=Path, default="reports/evaluate", help="for the plots; default: %(default)s")
    args = parser.parse_args()
    source = args.source or ColaPredictor(args.checkpoint).model.hparams.provenance["source"]
    judged = judge(args.checkpoint, source)
    results = evaluate(judged, source)
    write_report(args.reports, results, judged)
    print(table(results))
    print(f"plots: {args.reports}/")
