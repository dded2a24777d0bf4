"""MCC, CoLA's own measure, with the range that chance leaves it: by the bootstrap, from the counts of answers alone."""

import numpy as np

RANGE = (2.5, 97.5)  # percentiles: 95 times in 100 the truth is in between


def mcc(counts: np.ndarray) -> np.ndarray:
    """Matthews' correlation coefficient (...) of counts (..., label, answer); 0 where one of the two is constant."""
    (tn, fp), (fn, tp) = np.moveaxis(counts.astype(float), (-2, -1), (0, 1))
    root = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.divide(tp * tn - fp * fn, root, out=np.zeros_like(root), where=root > 0)


def resampled(counts: np.ndarray) -> np.ndarray:
    """How often each kind of sentence could as well have come: (10,000, kinds)."""
    return np.random.default_rng(0).multinomial(counts.sum(), counts / counts.sum(), size=10_000)


def mcc_interval(labels: np.ndarray, answers: np.ndarray) -> tuple[float, float, float]:
    """MCC of class ids (N,), and the ends of its 95 % interval."""
    counts = np.bincount(2 * labels + answers, minlength=4)  # by label and answer
    drawn = mcc(resampled(counts).reshape(-1, 2, 2))
    return float(mcc(counts.reshape(2, 2))), *np.percentile(drawn, RANGE).tolist()


def gain_interval(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """MCC gained by other answers (N,) to the same sentences, and the ends of its 95 % interval.

    A sentence is drawn with both of its answers: what is hard for both models does not blur the difference.
    """
    counts = np.bincount(4 * labels + 2 * before + after, minlength=8)  # by label, answer before, answer after

    def gain(counts: np.ndarray) -> np.ndarray:
        return mcc(counts.sum(axis=-2)) - mcc(counts.sum(axis=-1))

    drawn = gain(resampled(counts).reshape(-1, 2, 2, 2))
    return float(gain(counts.reshape(2, 2, 2))), *np.percentile(drawn, RANGE).tolist()
