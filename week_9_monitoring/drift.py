"""Do two samples of predictions come from the same traffic? Permutation tests, exact whatever the distributions are.

Five tests, three of what comes in and two of what goes out:

    length       tokens of a sentence
    unknown      tokens of a sentence that the tokenizer does not know
    vocabulary   which tokens occur (counted in `events.BUCKETS` buckets)
    score        the probability of "acceptable"
    acceptable   the share of sentences that are called acceptable

If nothing has changed, which of the two samples a prediction is in means nothing. So the predictions are dealt out
anew at random, `DEALS` times, and a distance between the samples is large if few of these deals have one as large.
Nothing is assumed of the distributions: lengths are whole numbers with many ties, on which the tables for the
Kolmogorov-Smirnov test are wrong, and scores crowd at 0 and 1. All five are computed on the same deals,
so that the smallest of the five p-values can be held against the smallest of five in each deal (Westfall and Young
1993): the alarm then is false as often as was asked for, without the loss of power that Bonferroni's correction costs
where tests agree.

It is assumed that predictions are independent of each other. A client that sends one sentence a thousand times breaks
that, and may fire the alarm: look at the examples.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from errors import InputError
from events import BUCKETS

REFERENCE = Path("models/reference.json")
COLUMNS = ("tokens", "unknown_tokens", "vocabulary", "score")  # of it
DEALS = 1_999
LENGTHS = np.arange(1, 48)  # tokens; longer ones are one class
UNKNOWN = np.arange(1, 5)
SCORES = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.99, 0.997, 0.999])
TESTS = ("length", "unknown", "vocabulary", "score", "acceptable")


class Finding(NamedTuple):
    """What a test says.

    Attributes:
        distance: between the samples, 0 to 1: the largest difference of the cumulative distributions; for the
            vocabulary half the sum of the differences of the shares.
        p: the chance of such a distance without drift, corrected for there being several tests.
    """

    test: str
    distance: float
    p: float


def features(tokens: np.ndarray, unknown: np.ndarray, vocabulary: np.ndarray, score: np.ndarray) -> dict:
    """What each test looks at, one row a prediction: (N, classes), a 1 in the class that it belongs to.

    Args:
        tokens, unknown: numbers (N,) of tokens, and of unknown ones.
        vocabulary: counts (N, events.BUCKETS).
        score: P(acceptable) (N,).
    """
    return {
        "length": one_hot(np.searchsorted(LENGTHS, tokens), len(LENGTHS) + 1),
        "unknown": one_hot(np.searchsorted(UNKNOWN, unknown, side="right"), len(UNKNOWN) + 1),
        "vocabulary": np.asarray(vocabulary, dtype=np.float32),
        "score": one_hot(np.searchsorted(SCORES, score, side="right"), len(SCORES) + 1),
        "acceptable": one_hot((np.asarray(score) >= 0.5).astype(int), 2),
    }


def load_reference(path: Path) -> tuple[dict, str]:
    """What the drift tests compare with, as `features` gives it, and the checksum of its model.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_bytes())
        columns = {column: np.array(content[column]) for column in COLUMNS}
        for column, values in columns.items():
            expected = (len(columns["score"]), BUCKETS)[: 1 + (column == "vocabulary")]
            if values.shape != expected:
                raise ValueError(f"{column} has the shape {values.shape}, not {expected}")
        return features(*columns.values()), content["model"]["sha256"]
    except FileNotFoundError:
        raise InputError(f'{path} not found: run "python reference.py" first') from None
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        raise InputError(f'{path} is damaged ({error}): run "python reference.py"') from None


def one_hot(classes: np.ndarray, number: int) -> np.ndarray:
    return np.eye(number, dtype=np.float32)[classes]  # (N, number)


@cache
def deals(first: int, second: int) -> np.ndarray:
    """Who is in the second sample: (1 + DEALS, first + second), float32 of 0 and 1; row 0 is how it really was."""
    members = np.zeros((1 + DEALS, first + second), dtype=np.float32)
    members[:, first:] = 1
    members[1:] = np.random.default_rng(0).permuted(members[1:], axis=1)
    return members


def compare(reference: dict, window: dict) -> list[Finding]:
    """The findings of all tests on two samples, each as `features` gives it."""
    sizes = [len(sample["score"]) for sample in (reference, window)]
    pooled = np.concatenate([np.hstack([sample[test] for test in TESTS]) for sample in (reference, window)])
    inside = deals(*sizes) @ pooled  # (1 + DEALS, all classes): sums over the second sample
    outside = pooled.sum(axis=0) - inside
    distances, column = [], 0
    for test in TESTS:
        part = slice(column, column := column + reference[test].shape[1])
        distances.append(distance(test, inside[:, part], outside[:, part]))
    distances = np.round(np.stack(distances, axis=1), 5)  # (1 + DEALS, tests); float32 must not tell equals apart
    ranked = np.sort(distances, axis=0)
    # (1 + DEALS, tests): of each deal, the share of deals that are at least as far apart
    p = 1 - np.stack([np.searchsorted(ranked[:, i], distances[:, i]) for i in range(len(TESTS))], axis=1) / len(ranked)
    smallest = p.min(axis=1)  # of the tests of each deal
    return [Finding(test, float(distances[0, i]), float((smallest <= p[0, i]).mean())) for i, test in enumerate(TESTS)]


def distance(test: str, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """How far apart two samples are (deals,), by the sums over their classes (deals, classes)."""
    difference = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1) - outside / np.maximum(
        outside.sum(axis=1, keepdims=True), 1
    )
    if test == "vocabulary":  # whose classes have no order
        return np.abs(difference).sum(axis=1) / 2
    return np.abs(difference.cumsum(axis=1)).max(axis=1)


def strangeness(reference: dict, window: dict, tests: list[str]) -> np.ndarray:
    """How much each prediction of the window is of the kind that these tests found too many of: (N,), higher is more.

    The sum over the tests of the logarithm of how much more often its class occurs in the window than in the reference.
    """
    total = np.zeros(len(window["score"]))
    for test in tests:
        now, before = (sample[test].sum(axis=0) + 0.5 for sample in (window, reference))
        excess = np.log(now / now.sum()) - np.log(before / before.sum())
        total += window[test] @ excess / np.maximum(window[test].sum(axis=1), 1)
    return total
