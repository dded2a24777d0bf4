"""The loop from drift to a new model, and the gate; on this week's own code, data and pipeline."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

import gate
import loop
from conftest import BUNDLED, WEEK
from data import load_corpus
from inference_onnx import ColaONNXPredictor
from reference import make_reference


@pytest.fixture(scope="module")
def models(exported, tmp_path_factory) -> Path:
    """A folder as the pipeline makes it, of the little trained model of the tests."""
    folder = tmp_path_factory.mktemp("served") / "models"
    shutil.copytree(exported, folder)
    sentences = load_corpus(BUNDLED)["validation"]["sentence"].tolist()
    (folder / "reference.json").write_text(json.dumps(make_reference(folder / "model.onnx", sentences)))
    return folder


def test_from_drift_to_a_new_model_and_no_alarm(models, tmp_path):
    quick = "training.epochs=2 training.batches=0.3"
    command = [sys.executable, WEEK / "loop.py", "--models", models, "--overrides", quick, "--folder", "round"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1_200)
    out = done.stdout
    assert done.returncode == 0, out + done.stderr
    usual, drift, _, tested, after = out.split("== ")[1:]
    assert "like the reference" in usual
    assert "DRIFT since" in drift
    gain = re.search(r"bundled: 1000 sentences, MCC -?0\.\d+ -> 0\.\d+, gain \+0\.\d+ \(\+0\.\d+ to \+0\.\d+\)", tested)
    assert gain, tested
    assert "DRIFT" not in after
    assert after.count("like the reference") == 1
    served, old = (ColaONNXPredictor(path / "model.onnx").sha256 for path in (tmp_path / "round/served", models))
    reference = json.loads((tmp_path / "round/served/reference.json").read_bytes())
    assert served == reference["model"]["sha256"] != old
    lines = (tmp_path / "round/logs/predictions.jsonl").read_text(encoding="utf-8").splitlines()
    log = [json.loads(line) for line in lines]
    assert [each["cola"]["model"]["sha256"] for each in log] == [old] * 2 * loop.SIZE + [served] * loop.SIZE


def test_two_loops_in_one_folder(cli, tmp_path):
    folder = tmp_path / "loop"
    with FileLock(f"{folder}.lock"):
        code, _, err = cli(loop.main, "--folder", folder)
    expected = f"error: {folder} is in use by another loop: wait, or choose another --folder\n"
    assert (code, err) == (2, expected)


def test_learners_sentences():
    corpus = load_corpus(BUNDLED)["train"]
    rows = loop.learners(corpus)
    assert set(rows["label"]) == {0, 1}
    bare = rows[rows["label"] == 0]["sentence"]
    assert not bare.str.contains(r"(?i)\b(?:a|an|the) ").any()
    assert set(rows[rows["label"] == 1]["sentence"]) < set(corpus["sentence"])
    assert 0.45 < (rows["label"] == 0).mean() < 0.55


def test_no_model_to_begin_with(command, tmp_path):
    done = command("loop.py", "--models", tmp_path)
    assert (done.returncode, b"model.onnx not found: run dvc repro first" in done.stderr) == (2, True)


@pytest.mark.parametrize(("new", "old", "kept", "code"), [
    ((0.95, 0.9), (0.6, 0.9), True, 0), ((0.6, 0.9), (0.6, 0.9), True, 1), ((0.95, 0.5), (0.6, 0.9), True, 1),
    ((0.95, 0.5), (0.6, 0.9), False, 0), ((0.5, 0.9), (0.9, 0.9), False, 1),
])  # fmt: skip
def test_the_gate(cli, tmp_path, monkeypatch, new, old, kept, code):
    """Models that are right with a given chance on each of two data sets."""
    rng, sentences = np.random.default_rng(0), {}
    for number, name in enumerate(("now", "before")):
        (tmp_path / name).mkdir()
        labels = rng.integers(0, 2, 300)
        lines = [f"Sentence {number} {row}.,{label}" for row, label in enumerate(labels)]
        for split in ("train", "validation"):
            (tmp_path / name / f"{split}.csv").write_text("sentence,label\n" + "\n".join(lines), encoding="utf-8")
        sentences |= {line.split(",")[0]: (number, int(line[-1])) for line in lines}

    class Model:
        def __init__(self, path):
            self.chances = {"new": new, "old": old}[path.name]

        def scores(self, asked):
            known = [sentences[sentence] for sentence in asked]
            right = rng.random(len(asked)) < [self.chances[number] for number, _ in known]
            return np.where(right, [label for _, label in known], [1 - label for _, label in known])

    monkeypatch.setattr(gate, "ColaONNXPredictor", Model)
    keep = ["--keep", tmp_path / "before"] if kept else []
    found, out, _ = cli(gate.main, "new", "old", "--data", tmp_path / "now", *keep)
    assert found == code
    assert out.count(" (a loss up to 0.05 is allowed)\n") == kept
    assert out.splitlines()[-1] == ("the new model may be served" if code == 0 else "the old model stays")


def test_the_reference_is_a_stage_of_the_pipeline():
    import yaml

    stages = yaml.safe_load((WEEK / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert stages["reference"]["outs"] == ["models/reference.json"]
    assert {"models/model.onnx", "drift.py", "events.py"} <= set(stages["reference"]["deps"])
