"""MCC, CoLA's own measure, with the range that chance leaves it: by the bootstrap, from the counts of answers alone."""

import numpy as np

RESAMPLES = 10_000
RANGE = (2.5, 97.5)  # percentiles


def mcc(labels: np.ndarray, answers: np.ndarray) -> float:
    """Matthews' correlation coefficient of class ids (N,)."""
    return float(mcc_of(np.bincount(2 * labels + answers, minlength=4).reshape(2, 2)))


def mcc_of(counts: np.ndarray) -> np.ndarray:
    """Matthews' correlation coefficient (...) of counts (..., label, answer); 0 where one of the two is constant."""
    (tn, fp), (fn, tp) = np.moveaxis(counts.astype(float), (-2, -1), (0, 1))
    product = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.where(product > 0, tp * tn - fp * fn, 0) / np.where(product > 0, product, 1)


def mcc_range(labels: np.ndarray, answers: np.ndarray) -> tuple[float, float, float]:
    """MCC of class ids (N,), and the lower and upper end of its 95 % interval."""
    counts = np.bincount(2 * labels + answers, minlength=4)
    drawn = np.random.default_rng(0).multinomial(len(labels), counts / len(labels), size=RESAMPLES)
    return mcc(labels, answers), *np.percentile(mcc_of(drawn.reshape(-1, 2, 2)), RANGE).tolist()


def gain_range(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """MCC gained by other answers (N,) to the same sentences, and the ends of its 95 % interval.

    The sentences are resampled in pairs: what is hard for both models does not blur the difference.
    """
    counts = np.bincount(4 * labels + 2 * before + after, minlength=8)
    drawn = np.random.default_rng(0).multinomial(len(labels), counts / len(labels), size=RESAMPLES)
    drawn = drawn.reshape(-1, 2, 2, 2)  # by label, answer before, answer after
    gains = mcc_of(drawn.sum(axis=-2)) - mcc_of(drawn.sum(axis=-1))
    return mcc(labels, after) - mcc(labels, before), *np.percentile(gains, RANGE).tolist()
