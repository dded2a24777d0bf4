"""Do two samples of predictions come from the same traffic? Permutation tests, exact whatever the distributions are.

python -m monitoring.drift      # models/reference.jsonl: what predictions look like where nothing is wrong

If nothing has changed, it means nothing which of the two samples a prediction is in. So the predictions are dealt out
anew at random, `PERMUTATIONS` times, and a distance between the samples is large if few of these have one as large.
Nothing is assumed of the distributions: lengths are whole numbers with many ties, scores crowd at 0 and 1, and on both
the tables of the usual tests are wrong.

All tests look at the same permutations, and the smallest of their p-values is held against the smallest in each
permutation (Westfall and Young 1993): five tests together raise no more false alarms than one would.

It is assumed that predictions are independent. A client that sends one sentence a thousand times breaks that.
"""

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from inference_onnx import MODEL, ColaONNXPredictor
from monitoring.prediction_log import token_counts

REFERENCE = Path("models/reference.jsonl")
PERMUTATIONS = 1_999
LENGTHS = np.arange(1, 48)  # tokens; longer ones are one class
SCORES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.99, 0.997, 0.999]


class Finding(NamedTuple):
    test: str
    distance: float  # between the samples, 0 to 1
    p: float  # the chance of such a distance without drift, corrected for there being several tests


def features(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """What each test looks at: (N, classes), a 1 in the class of each prediction; the vocabulary has counts."""

    def one_hot(classes: np.ndarray, number: int) -> np.ndarray:
        return np.eye(number, dtype=np.float32)[classes]

    return {
        "length": one_hot(np.searchsorted(LENGTHS, rows["tokens"]), len(LENGTHS) + 1),
        "unknown": one_hot(rows["unknown_tokens"].clip(upper=4), 5),
        "vocabulary": np.stack(rows["vocabulary"]).astype(np.float32),
        "score": one_hot(np.searchsorted(SCORES, rows["score"], side="right"), len(SCORES) + 1),
        "acceptable": one_hot((rows["score"] >= 0.5).astype(int), 2),
    }


@cache
def permutations(first: int, second: int) -> np.ndarray:
    """Who is in the second sample: (1 + PERMUTATIONS, first + second), 0 or 1; row 0 is how it really was."""
    in_window = np.zeros((1 + PERMUTATIONS, first + second), dtype=np.float32)
    in_window[:, first:] = 1
    in_window[1:] = np.random.default_rng(0).permuted(in_window[1:], axis=1)
    return in_window


def distance(inside: np.ndarray, outside: np.ndarray, ordered: bool) -> np.ndarray:
    """How far apart two samples are, (permutations,), by their sums over the classes (permutations, classes)."""
    shares = [sums / sums.sum(axis=1, keepdims=True) for sums in (inside, outside)]
    difference = shares[0] - shares[1]
    if ordered:
        return np.abs(difference.cumsum(axis=1)).max(axis=1)  # Kolmogorov and Smirnov's
    return np.abs(difference).sum(axis=1) / 2  # total variation


def drift_tests(reference: pd.DataFrame, window: pd.DataFrame) -> list[Finding]:
    """What all tests say of a window of predictions."""
    before, now = features(reference), features(window)
    in_window = permutations(len(reference), len(window))
    distances = []
    for test in before:
        pooled = np.concatenate([before[test], now[test]])  # (N, classes)
        inside = in_window @ pooled  # (1 + PERMUTATIONS, classes)
        distances.append(distance(inside, pooled.sum(axis=0) - inside, ordered=test != "vocabulary"))
    distances = np.round(np.stack(distances, axis=1), 5)  # (1 + PERMUTATIONS, tests); rounding: equals stay equal
    ranked = np.sort(distances, axis=0)
    rank = np.stack([np.searchsorted(ranked[:, i], column) for i, column in enumerate(distances.T)], axis=1)
    p = 1 - rank / len(ranked)  # (1 + PERMUTATIONS, tests): the share of permutations that are at least as far apart
    smallest = p.min(axis=1)
    return [Finding(t, float(distances[0, i]), float((smallest <= p[0, i]).mean())) for i, t in enumerate(before)]


def log_ratio(reference: pd.DataFrame, window: pd.DataFrame, tests: list[str]) -> np.ndarray:
    """How much each prediction of the window is of the kinds that there are too many of now: (N,), higher is more."""
    before, now = features(reference), features(window)
    total = np.zeros(len(window))
    for test in tests:
        shares = [(sample[test].sum(axis=0) + 0.5) / (sample[test].sum() + 0.5) for sample in (now, before)]
        total += now[test] @ np.log(shares[0] / shares[1]) / now[test].sum(axis=1)
    return total


def measure(predictor: ColaONNXPredictor, sentences: list[str]) -> pd.DataFrame:
    """A reference: the numbers of each sentence that the tests look at, and the model; not the sentences."""
    unknown = predictor.tokenizer.token_to_id("[UNK]")
    rows = [
        {"model": predictor.facts["sha256"], "score": judged["score"]}
        | token_counts(predictor.tokenizer.encode(judged["sentence"]).ids, unknown)
        for judged in predictor.predict(sentences)
    ]
    return pd.DataFrame(rows)


def main() -> None:
    from data import load_corpus  # datasets and torch: the monitor, which imports this module, does without

    parser = argparse.ArgumentParser(description="Write down what predictions on the validation set look like.")
    parser.add_argument("--model", type=Path, default=MODEL, help="default: %(default)s")
    parser.add_argument("--source", help="bundled, hub, or a folder; default: what the model was trained on")
    parser.add_argument("--output", type=Path, default=REFERENCE, help="default: %(default)s")
    args = parser.parse_args()
    if not args.model.exists():
        sys.exit(f"{args.model} not found: run dvc repro, or python convert_model_to_onnx.py")
    predictor = ColaONNXPredictor(args.model)
    corpus = load_corpus(args.source or predictor.facts["provenance"]["source"])
    reference = measure(predictor, list(corpus["validation"]["sentence"]))
    reference.to_json(args.output, orient="records", lines=True)
    shares = f"{reference['tokens'].mean():.1f} tokens each, {(reference['score'] >= 0.5).mean():.3f} acceptable"
    print(f"{args.output}: {len(reference):,} sentences, {shares}")


if __name__ == "__main__":
    main()
