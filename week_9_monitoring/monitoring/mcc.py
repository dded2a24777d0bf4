"""MCC, CoLA's own measure, with the range that chance leaves it: by the bootstrap, from the counts of answers alone."""

from collections.abc import Callable

import numpy as np


def mcc(counts: np.ndarray) -> np.ndarray:
    """Matthews' correlation coefficient (...) of counts (..., label, answer); 0 where one of the two is constant."""
    (tn, fp), (fn, tp) = np.moveaxis(counts.astype(float), (-2, -1), (0, 1))
    root = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.divide(tp * tn - fp * fn, root, out=np.zeros_like(root), where=root > 0)


def mcc_gain(counts: np.ndarray) -> np.ndarray:
    """MCC gained (...), of counts (..., label, answer before, answer after)."""
    return mcc(counts.sum(axis=-2)) - mcc(counts.sum(axis=-1))


def bootstrap(statistic: Callable, *columns: np.ndarray) -> tuple[float, float, float]:
    """A statistic of columns of 0 and 1 (N,), and the ends of its 95 % interval; a row is drawn as a whole."""
    shape = (2,) * len(columns)
    counts = np.bincount(np.ravel_multi_index(columns, shape), minlength=2 ** len(columns))
    drawn = np.random.default_rng(0).multinomial(counts.sum(), counts / counts.sum(), size=10_000)
    low, high = np.percentile(statistic(drawn.reshape(-1, *shape)), [2.5, 97.5])
    return float(statistic(counts.reshape(shape))), float(low), float(high)
