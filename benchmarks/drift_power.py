"""How often do week 9's drift tests raise a false alarm, and how small a drift do they find?

False alarms: the validation set is cut at random in two, so that there is nothing to find. Power: more and more of a
window is what the learners of `monitoring.retrain_loop` write.
"""

import argparse

import numpy as np
import pandas as pd
from course import model, row, run

from inference_onnx import ColaONNXPredictor
from monitoring.drift import drift_tests
from monitoring.drift import measure as measure_sentences
from monitoring.retrain_loop import learners
from sources import BUNDLED

ALPHA = 0.01  # false alarms that were asked for
SIZE = 200  # predictions of a window
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of a window that is not as usual


def alarm(reference: pd.DataFrame, window: pd.DataFrame) -> bool:
    return min(finding.p for finding in drift_tests(reference, window)) <= ALPHA


def measure(args: argparse.Namespace) -> list[dict]:
    predictor, random = ColaONNXPredictor(model("stand-in") / "model.onnx"), np.random.default_rng(0)
    windows = 20 if args.quick else 200
    corpus = {split: pd.read_csv(BUNDLED / f"{split}.csv") for split in ("train", "validation")}
    usual = measure_sentences(predictor, list(corpus["validation"]["sentence"]))
    strange = measure_sentences(predictor, list(learners(corpus["train"]).head(1000)["sentence"]))
    rows = []
    for share in (0, *SHARES):
        alarms = 0
        for _ in range(windows):
            order = random.permutation(len(usual))
            reference, window = order[SIZE:], order[:SIZE]
            mixed = round(share * SIZE)
            parts = [strange.sample(mixed, random_state=random), usual.iloc[window[mixed:]]]
            alarms += alarm(usual.iloc[reference], pd.concat(parts))
        what = f"windows that raise an alarm, {share:.0%} of them strange"
        rows.append(row(what, "%", {"the course": 100 * alarms / windows}, "more" if share else "less"))
    return rows


if __name__ == "__main__":
    run(measure, __doc__)
