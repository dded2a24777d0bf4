"""The drift tests: how often they are wrong, and what they find. The predictions are made up, without a model."""

from functools import partial
from math import comb

import numpy as np
import pandas as pd
import pytest

from inference_onnx import ColaONNXPredictor
from monitoring.drift import drift_tests, log_ratio, measure
from monitoring.prediction_log import BUCKETS

WINDOWS = 200


def traffic(rng: np.random.Generator, number: int, longer: float = 0, unknown: float = 0.02, surer: float = 0, shift=0):
    """Predictions in which all is awkward: lengths with ties, scores at 0 and 1, and all of it correlated."""
    tokens = 4 + rng.poisson(8 + longer, number)
    strange = rng.binomial(tokens, unknown)
    vocabulary = rng.multinomial(tokens, np.roll(np.arange(BUCKETS, 0, -1) / 136, shift))
    logit = rng.normal(0.5 + surer, 6, number) - 0.3 * strange + 0.1 * tokens
    columns = {"tokens": tokens, "unknown_tokens": strange, "score": (1 / (1 + np.exp(-logit))).round(4)}
    return pd.DataFrame(columns | {"vocabulary": vocabulary.tolist()})


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_false_alarms_are_as_many_as_were_asked_for(alpha, p_without_drift):
    alarms = int((p_without_drift <= alpha).sum())
    chances = [comb(WINDOWS, k) * alpha**k * (1 - alpha) ** (WINDOWS - k) for k in range(WINDOWS // 3)]
    likely = np.flatnonzero((np.cumsum(chances) > 0.001) & (np.cumsum(chances) < 0.999))
    assert likely[0] <= alarms <= likely[-1] + 1


@pytest.fixture(scope="module")
def p_without_drift() -> np.ndarray:
    """The smallest p of each of 200 windows of the same traffic as their reference."""
    usual = partial(traffic, np.random.default_rng(0))
    return np.array([min(finding.p for finding in drift_tests(usual(120), usual(100))) for _ in range(WINDOWS)])


DRIFTS = {"length": {"longer": 3}, "unknown": {"unknown": 0.15}, "vocabulary": {"shift": 1}, "score": {"surer": 4}}


@pytest.mark.parametrize("test", [*DRIFTS, "acceptable"])
def test_drift_is_found_and_named(test):
    rng, drift = np.random.default_rng(1), DRIFTS.get(test, DRIFTS["score"])
    found = {finding.test: finding.p for finding in drift_tests(traffic(rng, 900), traffic(rng, 500, **drift))}
    assert found[test] <= 0.01


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(4)
    reference, window = traffic(rng, 300), traffic(rng, 200, longer=1)
    shares = [[(sample["tokens"] <= n).mean() for n in range(50)] for sample in (reference, window)]
    assert drift_tests(reference, window)[0].distance == pytest.approx(np.abs(np.subtract(*shares)).max(), abs=1e-4)


def test_the_strangest_are_of_the_kind_of_which_there_are_too_many():
    rng = np.random.default_rng(6)
    window = pd.concat([traffic(rng, 400), traffic(rng, 100, longer=12)])
    worst = np.argsort(-log_ratio(traffic(rng, 900), window, ["length"]))[:20]
    assert (worst >= 400).mean() > 0.9


def test_the_reference_holds_numbers_of_each_sentence_and_not_the_sentences(model_onnx):
    predictor = ColaONNXPredictor(model_onnx)
    rows = measure(predictor, ["He runs.", "The zyzzyva is 🐻."])
    assert rows["score"].tolist() == [row["score"] for row in predictor.predict(["He runs.", "The zyzzyva is 🐻."])]
    assert rows["model"].unique() == predictor.facts["sha256"]
    assert set(rows) == {"model", "score", "tokens", "unknown_tokens", "unknown_share", "vocabulary"}
