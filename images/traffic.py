"""Five days of made-up traffic, for the picture of the dashboard.

    python ../../images/traffic.py traffic     in a copy of week 9 with a model: makes events, in the folder traffic/

On the first day another model answers; on the last, half of the sentences come from the learners of loop.py.
"""

import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path.cwd()))

import events
from inference_onnx import ColaONNXPredictor
from loop import learners

HOURS, SENTENCES = 120, 16  # an hour
REFUSALS = ((422, "blank"), (422, "string_too_long"), (422, "json_invalid"))


def main(folder: Path) -> None:
    folder.mkdir()
    os.environ |= {"COLA_LOG": str(folder / "predictions.jsonl"), "COLA_PRIVACY": "plain"}
    log = events.event_log("off")
    before, now = (events.Recorder(ColaONNXPredictor(f"models/{name}.onnx"), log) for name in ("model.fp32", "model"))
    usual = pd.read_csv("bundled/validation.csv")["sentence"].tolist()
    new = learners(pd.read_csv("bundled/train.csv"))["sentence"].tolist()
    chance, end = random.Random(0), datetime.now(UTC)
    for hour in range(HOURS):
        moment = end - timedelta(hours=HOURS - hour)
        events.now = lambda moment=moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        recorder = before if hour < 24 else now
        for number in range(SENTENCES):
            recorder.predict([chance.choice(new if hour >= HOURS - 24 and number % 2 else usual)])
        if chance.random() < 0.3:
            recorder.refused(*chance.choice(REFUSALS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
