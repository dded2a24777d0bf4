"""Five days of made-up traffic, for the picture of the dashboard.

    python ../../images/traffic.py traffic.jsonl     in a copy of week 9 with a model

On the first day another model answers; on the last, half of the sentences come from the learners of retrain_loop.py.
"""

import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from data import load_corpus
from inference_onnx import ColaONNXPredictor
from monitoring.prediction_log import Recorder
from monitoring.retrain_loop import learners

HOURS, REQUESTS = 120, 16  # an hour
REFUSALS = ((422, "value_error"), (422, "string_too_long"), (413, "body"))


def main(log: str) -> None:
    os.environ |= {"COLA_LOG": log, "COLA_PRIVACY": "plain"}
    before, now = (Recorder(ColaONNXPredictor(f"models/{name}.onnx")) for name in ("model.fp32", "model"))
    corpus = load_corpus("bundled")
    usual = corpus["validation"]["sentence"]
    new = learners(corpus["train"].to_pandas())["sentence"].tolist()
    chance, end = random.Random(0), datetime.now(UTC)
    for hour in range(HOURS):
        recorder = before if hour < 24 else now
        recorder.at = end - timedelta(hours=HOURS - hour)
        for number in range(REQUESTS):
            recorder.predict([chance.choice(new if hour >= HOURS - 24 and number % 2 else usual)])
        if chance.random() < 0.3:
            recorder.refused(*chance.choice(REFUSALS))


if __name__ == "__main__":
    main(sys.argv[1])
