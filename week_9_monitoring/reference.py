"""What the model's predictions look like where nothing is wrong: on the validation set, which it was not trained on.

    python reference.py                     # the last stage of `dvc repro`: models/reference.json

Like models/model.onnx, the file is made by training and kept by DVC, and it names the model that it belongs to. It
holds numbers, not sentences.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from data import load_corpus
from drift import COLUMNS, REFERENCE
from errors import friendly_errors
from evaluate import data_of
from events import Recorder, token_counts
from inference_onnx import MODEL, ColaONNXPredictor


def make_reference(model: Path, sentences: list[str]) -> dict:
    """The numbers of `COLUMNS`, one entry a sentence, and the model's checksum."""
    recorder = Recorder(ColaONNXPredictor(model), log=None)
    measured = [
        token_counts(encoding.ids, recorder.unknown) | {"score": judgement["score"]}
        for encoding, judgement in zip(recorder.encode(sentences), recorder.predictor.predict(sentences), strict=True)
    ]
    return {"model": recorder.model, "sentences": len(sentences)} | {
        column: [row[column] for row in measured] for column in COLUMNS
    }


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Write down what predictions on the validation set look like.")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--data", metavar="DIR", help="default: what the model was trained on")
    parser.add_argument("--output", type=Path, default=REFERENCE, metavar="FILE", help="default: %(default)s")
    arguments = parser.parse_args()
    place = Path(arguments.data) if arguments.data else data_of(ColaONNXPredictor(arguments.model).provenance)
    reference = make_reference(arguments.model, load_corpus(place)["validation"]["sentence"].tolist())
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(reference, separators=(",", ":")) + "\n", encoding="utf-8")
    scores = np.array(reference["score"])
    print(
        f"{len(scores):,} sentences, {np.mean(reference['tokens']):.1f} tokens each, "
        f"{np.mean(scores >= 0.5):.3f} of them acceptable: {arguments.output}"
    )


if __name__ == "__main__":
    main()
