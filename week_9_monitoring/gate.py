"""Is a new model better than the one that is served? Both judge the same labelled sentences; chance is accounted for.

    python gate.py models/model.onnx served/model.onnx --data new --keep bundled

Exit code 0: on the validation set in --data the new model has gained MCC, and the 95 % interval of the gain is above
0; and on that in --keep it has not for certain lost more than 0.05, which is what another seed may cost. Exit code 1:
one of these does not hold.
"""

import argparse
import sys
from pathlib import Path

from data import load_corpus
from errors import friendly_errors
from inference_onnx import ColaONNXPredictor
from quality import gain_range, mcc

MAY_LOSE = 0.05  # MCC, on --keep


def compare_on(
    place: Path, new: ColaONNXPredictor, old: ColaONNXPredictor, note: str = ""
) -> tuple[float, float, float]:
    """The gain of MCC on a validation set, and the ends of its 95 % interval; also printed, with a note."""
    rows = load_corpus(place)["validation"]
    labels = rows["label"].to_numpy()
    before, after = ((model.scores(rows["sentence"].tolist()) >= 0.5).astype(int) for model in (old, new))
    gain, low, high = gain_range(labels, before, after)
    was, now = mcc(labels, before), mcc(labels, after)
    found = f"MCC {was:.3f} -> {now:.3f}, gain {gain:+.3f} ({low:+.3f} to {high:+.3f})"
    print(f"{place}: {len(rows)} sentences, {found}{note}")
    return gain, low, high


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Compare a new model with the one that is served.")
    parser.add_argument("new", type=Path, help="the new model")
    parser.add_argument("old", type=Path, help="the one that is served")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where it must be better")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help=f"where it must not for certain have lost more than {MAY_LOSE}"
    )
    arguments = parser.parse_args()
    models = [ColaONNXPredictor(path) for path in (arguments.new, arguments.old)]
    better = compare_on(arguments.data, *models)[1] > 0
    note = f" (a loss up to {MAY_LOSE} is allowed)"
    kept = not arguments.keep or compare_on(arguments.keep, *models, note)[2] >= -MAY_LOSE
    print("the new model may be served" if better and kept else "the old model stays")
    sys.exit(0 if better and kept else 1)


if __name__ == "__main__":
    main()
