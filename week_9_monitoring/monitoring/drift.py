"""Do two samples of predictions come from the same traffic? Permutation tests, exact whatever the distributions are.

python -m monitoring.drift      # models/reference.jsonl: what predictions look like where nothing is wrong

The predictions of both are dealt out anew at random, and a distance between the samples is large if few of these
permutations have one as large. The smallest p-value of all tests is held against the smallest in each permutation
(Westfall and Young 1993): five tests together raise no more false alarms than one would. It is assumed that predictions
are independent.
"""

import argparse
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from inference_onnx import MODEL, ColaONNXPredictor
from monitoring.prediction_log import token_counts

REFERENCE = Path("models/reference.jsonl")
PERMUTATIONS = 1_999
SCORES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.99, 0.997, 0.999]  # class limits


class Finding(NamedTuple):
    test: str
    distance: float  # between the samples, 0 to 1
    p: float  # the chance of such a distance without drift, corrected for there being several tests


def features(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """What each test looks at: (N, classes), a 1 in the class of each prediction; the vocabulary has counts."""
    return {
        "length": np.eye(49)[rows["tokens"].clip(upper=48)],
        "unknown": np.eye(5)[rows["unknown_tokens"].clip(upper=4)],
        "vocabulary": np.stack(rows["vocabulary"]),
        "score": np.eye(len(SCORES) + 1)[np.searchsorted(SCORES, rows["score"], side="right")],
        "acceptable": np.eye(2)[(rows["score"] >= 0.5).astype(int)],
    }


@cache
def permutations(first: int, second: int) -> np.ndarray:
    """Who is in the second sample: (1 + PERMUTATIONS, first + second), 0 or 1; row 0 is how it really was."""
    in_window = np.zeros((1 + PERMUTATIONS, first + second), dtype=np.float32)
    in_window[:, first:] = 1
    in_window[1:] = np.random.default_rng(0).permuted(in_window[1:], axis=1)
    return in_window


def drift_tests(reference: pd.DataFrame, window: pd.DataFrame) -> list[Finding]:
    """What all tests say of a window of predictions."""
    before, now, distances = features(reference), features(window), {}
    in_window = permutations(len(reference), len(window))
    for test in before:
        pooled = np.concatenate([before[test], now[test]]).astype(np.float32)  # (N, classes)
        inside = in_window @ pooled  # (1 + PERMUTATIONS, classes)
        shares = [sums / sums.sum(axis=1, keepdims=True) for sums in (inside, pooled.sum(axis=0) - inside)]
        difference = shares[0] - shares[1]
        distances[test] = np.abs(difference.cumsum(axis=1)).max(axis=1)  # Kolmogorov and Smirnov's
        if test == "vocabulary":  # whose classes have no order: total variation
            distances[test] = np.abs(difference).sum(axis=1) / 2
    distances = pd.DataFrame(distances).round(5)  # (1 + PERMUTATIONS, tests); rounding: equals stay equal
    p = distances.rank(ascending=False, method="max", pct=True)  # the share of permutations that are as far apart
    smallest = p.min(axis=1)
    return [Finding(test, float(distances[test][0]), float((smallest <= p[test][0]).mean())) for test in distances]


def log_ratio(reference: pd.DataFrame, window: pd.DataFrame, tests: list[str]) -> np.ndarray:
    """How much each prediction of the window is of the kinds that there are too many of now: (N,), higher is more."""
    before, now, total = features(reference), features(window), np.zeros(len(window))
    for test in tests:
        shares = [(sample[test].sum(axis=0) + 0.5) / (sample[test].sum() + 0.5) for sample in (now, before)]
        total += now[test] @ np.log(shares[0] / shares[1]) / now[test].sum(axis=1)
    return total


def measure(predictor: ColaONNXPredictor, sentences: list[str]) -> pd.DataFrame:
    """A reference: the numbers of each sentence that the tests look at, and the model; not the sentences."""
    unknown = predictor.tokenizer.token_to_id("[UNK]")
    rows = pd.DataFrame([token_counts(predictor.tokenizer.encode(sentence).ids, unknown) for sentence in sentences])
    return rows.assign(score=[row["score"] for row in predictor.predict(sentences)], model=predictor.facts["sha256"])


if __name__ == "__main__":
    from data import load_corpus  # datasets and torch: the monitor, which imports this module, does without

    parser = argparse.ArgumentParser(description="Write down what predictions on the validation set look like.")
    parser.add_argument("--model", type=Path, default=MODEL, help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=REFERENCE, help="default: %(default)s")
    args = parser.parse_args()
    predictor = ColaONNXPredictor(args.model)
    corpus = load_corpus(predictor.facts["provenance"]["source"])["validation"]
    reference = measure(predictor, list(corpus["sentence"]))
    reference.to_json(args.output, orient="records", lines=True)
    shares = f"{reference['tokens'].mean():.1f} tokens each, {(reference['score'] >= 0.5).mean():.3f} acceptable"
    print(f"{args.output}: {len(reference):,} sentences, {shares}")
