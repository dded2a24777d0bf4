"""Is a new model better than the one that is served? Both judge the same labelled sentences; chance is accounted for.

python -m monitoring.compare_models loop/new/model.onnx models/model.onnx --new loop/corpus --old bundled

Exit code 0: it is better where it was to become better, and not worse where the old one is good; else 1.
"""

import argparse
import sys

import numpy as np

from data import load_corpus
from inference_onnx import ColaONNXPredictor
from monitoring.mcc import bootstrap, mcc_gain

MAY_LOSE = 0.05  # MCC: about what another seed of the training may cost


def passes(source: str, served: ColaONNXPredictor, new: ColaONNXPredictor, above: float) -> bool:
    """Whether the 95 % interval of the gain of MCC on a validation set lies above a limit."""
    corpus = load_corpus(source)["validation"]
    before, after = ([row["score"] >= 0.5 for row in each.predict(list(corpus["sentence"]))] for each in (served, new))
    gain, low, high = bootstrap(mcc_gain, *np.array([corpus["label"], before, after], dtype=int))
    print(f"{source}: MCC gain {gain:+.3f} on {len(before):,} sentences, 95 % interval {low:+.3f} to {high:+.3f}")
    print(f"  the interval must be above {above:g}: {'it is' if low > above else 'it is not'}")
    return low > above


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare a new model with the one that is served.")
    parser.add_argument("model", help="the new one")
    parser.add_argument("served", help="the one that is served")
    parser.add_argument("--new", required=True, metavar="SOURCE", help="where it must be better")
    parser.add_argument("--old", required=True, metavar="SOURCE", help=f"where it must not have lost {MAY_LOSE}")
    args = parser.parse_args()
    models = ColaONNXPredictor(args.served), ColaONNXPredictor(args.model)
    better, no_worse = passes(args.new, *models, above=0), passes(args.old, *models, above=-MAY_LOSE)
    print("the new model may be served" if better and no_worse else "the old model stays")
    sys.exit(not (better and no_worse))
