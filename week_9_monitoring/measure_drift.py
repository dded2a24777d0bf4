"""How often do the drift tests raise a false alarm, and how small a drift do they find? Measured, and drawn.

    python measure_drift.py                   # about a minute -> reports/drift/drift.json and power.png

False alarms: the validation set is cut at random in two, 1,000 times, so that there is nothing to find. Power: the
reference is one half of it, and windows of the other are mixed with more and more sentences of `loop.learners`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from data import load_corpus
from drift import COLUMNS, TESTS, compare, features
from errors import friendly_errors
from inference_onnx import MODEL
from loop import learners
from reference import make_reference
from sources import BUNDLED

REPORTS = Path("reports/drift")
WINDOWS, TRIALS = 1_000, 100
ALPHAS = (0.05, 0.01)
SHARES = (0, 0.05, 0.1, 0.2, 0.3, 0.5)  # of a window that is not as usual
SIZES = (100, 200, 400)  # predictions of a window


def sample(model: Path, sentences: list[str]) -> dict:
    """What the drift tests see of the model's predictions on sentences."""
    made = make_reference(model, sentences)
    return features(*(np.array(made[column]) for column in COLUMNS))


def rows(of: dict, which: np.ndarray) -> dict:
    return {test: values[which] for test, values in of.items()}


def false_alarms(usual: dict, rng: np.random.Generator) -> dict:
    """The shares of windows without drift that raise an alarm, by the rate that was asked for; all tests, and each."""
    number = len(usual["score"])
    p = np.empty((WINDOWS, len(TESTS)))
    for window in range(WINDOWS):
        order = rng.permutation(number)
        p[window] = [f.p for f in compare(rows(usual, order[number // 2 :]), rows(usual, order[: number // 2]))]
    return {f"{alpha}": {"any": float((p.min(axis=1) <= alpha).mean())}
            | dict(zip(TESTS, (p <= alpha).mean(axis=0).tolist(), strict=True)) for alpha in ALPHAS}  # fmt: skip


def power(usual: dict, strange: dict, rng: np.random.Generator) -> dict:
    """The shares of windows that raise an alarm at 1 %, by the size of the window, for each of `SHARES`."""
    found: dict[int, list[float]] = {}
    for size in SIZES:
        for share in SHARES:
            alarms = 0
            for _ in range(TRIALS):
                order, more = rng.permutation(len(usual["score"])), rng.permutation(len(strange["score"]))
                mixed = round(size * share)
                parts = rows(usual, order[: size - mixed]), rows(strange, more[:mixed])
                window = {test: np.vstack([part[test] for part in parts]) for test in TESTS}
                alarms += min(f.p for f in compare(rows(usual, order[-len(order) // 2 :]), window)) <= 0.01
            found.setdefault(size, []).append(alarms / TRIALS)
    return found


def draw(found: dict, path: Path) -> None:
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for size, shares in found.items():
        axes.plot([100 * share for share in SHARES], shares, marker="o", label=f"{size} predictions")
    axes.set(xlabel="learners in the window, %", ylabel="share of windows with an alarm", ylim=(-0.03, 1.03))
    axes.axhline(0.01, color="grey", linewidth=0.8, linestyle=":")
    axes.legend(title="a window has")
    figure.savefig(path, dpi=110)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Measure false alarms and power of the drift tests.")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--reports", type=Path, default=REPORTS, metavar="DIR", help="default: %(default)s")
    arguments = parser.parse_args()
    corpus, rng = load_corpus(BUNDLED), np.random.default_rng(0)
    usual = sample(arguments.model, corpus["validation"]["sentence"].tolist())
    written = learners(corpus["train"]).sample(1_000, random_state=0)
    alarms = false_alarms(usual, rng)
    found = power(usual, sample(arguments.model, written["sentence"].tolist()), rng)
    arguments.reports.mkdir(parents=True, exist_ok=True)
    report = {"windows": WINDOWS, "false_alarms": alarms, "power": {"shares": SHARES} | found}
    (arguments.reports / "drift.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    draw(found, arguments.reports / "power.png")
    for alpha, shares in alarms.items():
        print(f"asked for {alpha}: " + ", ".join(f"{name} {share:.3f}" for name, share in shares.items()))
    print(f"{arguments.reports}/drift.json and power.png")


if __name__ == "__main__":
    main()
