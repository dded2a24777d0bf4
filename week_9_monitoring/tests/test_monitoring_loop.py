"""Is the new model better, and once round the loop: drift, alarm, labels, retraining, the comparison, no alarm."""

import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from inference_onnx import ColaONNXPredictor
from monitoring import retrain_loop
from monitoring.drift import measure
from sources import BUNDLED


@pytest.fixture
def folder(model_onnx, tmp_path, monkeypatch):
    """A folder whose models/ has a little trained model and its reference."""
    (tmp_path / "models").mkdir()
    shutil.copy(model_onnx, tmp_path / "models/model.onnx")
    sentences = pd.read_csv(BUNDLED / "validation.csv")["sentence"].tolist()
    rows = measure(ColaONNXPredictor(model_onnx), sentences)
    rows.to_json(tmp_path / "models/reference.jsonl", orient="records", lines=True)
    for name in ("COLA_LOG", "COLA_PRIVACY"):  # which the loop sets
        monkeypatch.setenv(name, "")
    return tmp_path


def in_process(*command: str | Path, code: int = 0) -> None:
    """What `retrain_loop.run` does in processes of their own, each of which would import all libraries anew."""
    file, *arguments = [str(word) for word in command if word != "-m"]
    ended = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [file, *arguments])
        try:
            runpy.run_path(file if file.endswith(".py") else f"{file.replace('.', '/')}.py", run_name="__main__")
        except SystemExit as end:
            ended = int(end.code or 0)
    assert ended == code, command


def test_the_loop_closes(folder, capfd, monkeypatch):
    monkeypatch.setattr(retrain_loop, "run", in_process)
    retrain_loop.main(["training.epochs=1"], folder / "models", folder / "loop")
    usual, drift, labels, better, after = capfd.readouterr().out.split("== ")[1:]
    assert "like the reference" in usual
    assert "DRIFT since" in drift
    assert labels.count("of 400 labels") == 2
    assert re.search(r"MCC gain \+0\.\d+ on 1,000 sentences", better)
    assert better.rstrip().endswith("the new model may be served")
    assert ("DRIFT" in after, after.count("like the reference")) == (False, 1)
    log = [json.loads(line) for line in (folder / "loop/logs/predictions.jsonl").read_text().splitlines()]
    models = [each["cola"]["model"]["sha256"] for each in log if each["event"]["action"] == "judge"]
    old, new = (ColaONNXPredictor(folder / name / "model.onnx").facts["sha256"] for name in ("models", "loop/new"))
    assert models == [old] * 2 * retrain_loop.SIZE + [new] * retrain_loop.SIZE
    assert len({each["@timestamp"][:10] for each in log}) == 6  # days, which the dashboard shows


@pytest.mark.parametrize(
    ("new", "old", "code"),  # how often the new model is right on new and on old sentences; the old one: 0.6, 0.9
    [(0.95, 0.93, 0), (0.6, 0.93, 1), (0.95, 0.8, 1), (0.95, 0.85, 1)],
    ids=["better", "no better", "worse on the old", "perhaps worse on the old"],
)
def test_a_model_is_taken_if_better_and_for_certain_not_worse(monkeypatch, new, old, code):
    rng, labels = np.random.default_rng(0), np.arange(600) % 2

    class Model:
        def __init__(self, path):
            self.right = {"new": (new, old), "old": (0.6, 0.9)}[path]

        def predict(self, sentences):
            right = rng.random(600) < self.right[sentences[0] == "old"]
            return [{"score": score} for score in np.where(right, labels, 1 - labels)]

    corpora = {name: {"validation": {"sentence": [name] * 600, "label": labels}} for name in ("new", "old")}
    monkeypatch.setattr("inference_onnx.ColaONNXPredictor", Model)
    monkeypatch.setattr("data.load_corpus", corpora.get)
    monkeypatch.setattr("sys.argv", ["compare_models", "new", "old", "--new", "new", "--old", "old"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("monitoring.compare_models", run_name="__main__")
    assert stop.value.code == code
