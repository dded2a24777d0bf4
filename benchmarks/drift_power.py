"""How often do week 9's drift tests raise a false alarm, and how small a drift do they find?

python benchmarks/drift_power.py week_9_monitoring/models/model.onnx

False alarms: the validation set is cut at random in two, so that there is nothing to find. Power: more and more of a
window is what the learners of `monitoring.retrain_loop` write.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "week_9_monitoring"))

from inference_onnx import ColaONNXPredictor
from monitoring.drift import drift_tests, measure
from monitoring.retrain_loop import learners
from sources import BUNDLED

ALPHA = 0.01  # false alarms that were asked for
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of a window that is not as usual


def alarm(reference: pd.DataFrame, window: pd.DataFrame) -> bool:
    return min(finding.p for finding in drift_tests(reference, window)) <= ALPHA


if __name__ == "__main__":
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", type=Path, help="model.onnx of week 9")
    parser.add_argument("--windows", type=int, default=200, help="for each number")
    parser.add_argument("--size", type=int, default=200, help="predictions of a window")
    args = parser.parse_args()
    predictor, random = ColaONNXPredictor(args.model), np.random.default_rng(0)
    corpus = {split: pd.read_csv(BUNDLED / f"{split}.csv") for split in ("train", "validation")}
    usual = measure(predictor, list(corpus["validation"]["sentence"]))
    strange = measure(predictor, list(learners(corpus["train"]).head(1000)["sentence"]))
    for share in (0, *SHARES):
        alarms = 0
        for _ in range(args.windows):
            order = random.permutation(len(usual))
            reference, window = order[args.size :], order[: args.size]
            mixed = round(share * args.size)
            parts = [strange.sample(mixed, random_state=random), usual.iloc[window[mixed:]]]
            alarms += alarm(usual.iloc[reference], pd.concat(parts))
        print(f"{share:4.0%} learners: {alarms / args.windows:6.1%} of {args.windows} windows raise an alarm")
