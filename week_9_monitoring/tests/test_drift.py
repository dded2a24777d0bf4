"""The drift tests: how often they are wrong, what they find, and the intervals of MCC."""

import json
from math import comb

import numpy as np
import pytest

from drift import COLUMNS, TESTS, compare, features, load_reference, strangeness
from errors import InputError
from quality import gain_range, mcc, mcc_range

WINDOWS = 1_000
ALPHA = 0.05
WORDS = np.arange(16, 0, -1) / 136  # how often each class of tokens occurs


def traffic(rng: np.random.Generator, number: int, longer: float = 0, unknown: float = 0.02, surer: float = 0) -> dict:
    """Predictions made up so that all is awkward: lengths with ties, scores at 0 and 1, and all of it correlated."""
    tokens = 4 + rng.poisson(8 + longer, number)
    strange = rng.binomial(tokens, unknown)
    vocabulary = rng.multinomial(tokens, WORDS)
    score = np.round(1 / (1 + np.exp(-(rng.normal(0.5 + surer, 6, number) - 0.3 * strange + 0.1 * tokens))), 4)
    return features(tokens, strange, vocabulary, score)


def at_most(rate: float, trials: int) -> int:
    """The number of successes that is exceeded once in 1,000 times, if the rate is this."""
    chances = [comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(int(trials * rate * 4))]
    return int(np.argmax(np.cumsum(chances) >= 0.999))


def test_of_1_000_clean_windows_no_more_raise_an_alarm_than_was_asked_for():
    rng = np.random.default_rng(0)
    p = np.array([[finding.p for finding in compare(traffic(rng, 300), traffic(rng, 150))] for _ in range(WINDOWS)])
    alarms = (p.min(axis=1) <= ALPHA).sum()
    assert alarms <= at_most(ALPHA, WINDOWS)
    assert alarms >= WINDOWS * ALPHA / 2  # nor are the tests blind
    assert ((p <= ALPHA).sum(axis=0) <= at_most(ALPHA, WINDOWS)).all()


@pytest.mark.parametrize(
    ("change", "found"),
    [({"longer": 3}, "length"), ({"unknown": 0.15}, "unknown"), ({"surer": 4}, "score"), ({"surer": 4}, "acceptable")],
)
def test_drift_is_found_and_named(change, found):
    rng = np.random.default_rng(1)
    p = {f.test: f.p for f in compare(traffic(rng, 900), traffic(rng, 500, **change))}
    assert p[found] <= 0.01


def test_other_words_are_found():
    rng = np.random.default_rng(2)
    reference, window = traffic(rng, 900), traffic(rng, 500)
    window["vocabulary"] = np.roll(window["vocabulary"], 1, axis=1)
    assert [f.test for f in compare(reference, window) if f.p <= 0.01] == ["vocabulary"]


def test_the_larger_the_drift_the_likelier_the_alarm():
    rng = np.random.default_rng(3)
    power = []
    for size in (0, 1, 2):
        pairs = [(traffic(rng, 300), traffic(rng, 150, longer=size)) for _ in range(40)]
        power.append(np.mean([min(f.p for f in compare(*pair)) <= ALPHA for pair in pairs]))
    assert power[0] < power[1] < power[2]
    assert power[2] > 0.9


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(4)
    a, b = rng.poisson(8, 300) + 1, rng.poisson(9, 200) + 1
    other = (np.zeros(500, int), np.ones((500, 16)), np.full(500, 0.7))
    first, second = (features(x, *(each[: len(x)] for each in other)) for x in (a, b))
    expected = max(abs((a <= x).mean() - (b <= x).mean()) for x in range(50))
    found = {f.test: f for f in compare(first, second)}
    assert found["length"].distance == pytest.approx(expected, abs=1e-4)
    assert [found[test].distance for test in TESTS[1:]] == [0, 0, 0, 0]
    assert [found[test].p for test in TESTS[1:]] == [1, 1, 1, 1]


def test_the_strangest_are_of_the_kind_of_which_there_are_too_many():
    rng = np.random.default_rng(5)
    reference = traffic(rng, 900)
    window = {test: np.vstack([a, b]) for (test, a), b in zip(traffic(rng, 400).items(),
              traffic(rng, 100, longer=12).values(), strict=True)}  # fmt: skip
    worst = np.argsort(-strangeness(reference, window, ["length"]))[:20]
    assert (worst >= 400).mean() > 0.9


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"model": {}}', b'{"tokens": [1]}'])
def test_a_reference_that_is_missing_or_damaged_is_named(tmp_path, content):
    path = tmp_path / "reference.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r'reference.json .*: run "python reference.py"'):
        load_reference(path)


@pytest.mark.parametrize("cut", ["tokens", "score", "vocabulary", "buckets"])
def test_a_reference_whose_columns_do_not_fit_together_is_damaged(tmp_path, cut):
    content = {"model": {"sha256": "f"}, "tokens": [5] * 9, "unknown_tokens": [0] * 9, "score": [0.5] * 9}
    content["vocabulary"] = [[1] * (15 if cut == "buckets" else 16)] * 9
    if cut != "buckets":
        content[cut] = content[cut][:3]
    (tmp_path / "reference.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r'damaged \(\w+ has the shape .*\): run "python reference.py"'):
        load_reference(tmp_path / "reference.json")


def test_what_the_reference_holds(exported, small, cli, tmp_path):
    import reference
    from inference_onnx import ColaONNXPredictor

    output = tmp_path / "reference.json"
    code, _, _ = cli(reference.main, "--model", exported / "model.onnx", "--data", small, "--output", output)
    content = json.loads(output.read_bytes())
    predictor = ColaONNXPredictor(exported / "model.onnx")
    sentences = (small / "validation.csv").read_text(encoding="utf-8")
    assert (code, content["sentences"], len(content["tokens"])) == (0, 80, 80)
    assert content["model"]["sha256"] == predictor.sha256
    assert not any(word in output.read_text(encoding="utf-8") for word in sentences.split()[1:] if len(word) > 9)
    found, model = load_reference(output)
    assert model == predictor.sha256
    assert {len(found[test]) for test in TESTS} == {80}
    assert set(COLUMNS) < set(content)
    code, _, err = cli(reference.main, "--model", exported / "model.onnx", "--data", small, "--output", tmp_path)
    assert code == 2
    assert err.startswith(f"error: {tmp_path} cannot be used (Is a directory): choose another path")


def test_mcc_is_that_of_its_definition():
    labels, answers = np.array([0, 0, 0, 1, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1, 0, 1])
    assert mcc(labels, answers) == pytest.approx(np.corrcoef(labels, answers)[0, 1])
    assert mcc(labels, np.ones(8, int)) == 0


def test_the_interval_of_mcc_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(6)
    inside = 0
    truth = 0.6  # of balanced labels that are answered right in 80 % of the cases
    for _ in range(200):
        labels = rng.integers(0, 2, 300)
        answers = np.where(rng.random(300) < 0.8, labels, 1 - labels)
        _, low, high = mcc_range(labels, answers)
        inside += low <= truth <= high
    assert 0.90 <= inside / 200 <= 0.99


def test_a_gain_is_told_from_chance():
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 400)
    weak, same, strong = (np.where(rng.random(400) < right, labels, 1 - labels) for right in (0.7, 0.7, 0.9))
    gain, low, high = gain_range(labels, weak, strong)
    assert low < gain == mcc(labels, strong) - mcc(labels, weak) < high
    assert low > 0
    assert gain_range(labels, weak, same)[1] < 0 < gain_range(labels, weak, same)[2]
    assert gain_range(labels, weak, weak) == (0, 0, 0)
