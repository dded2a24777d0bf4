"""What week 1 promises. One run is made by the real client, offline, and read back from the file for `wandb sync`."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import wandb

import train as training
from conftest import train
from evaluate import evaluate
from report import calibration, write_report, wrong_sentences
from tracking import open_run

JUDGED = pd.DataFrame({"sentence": list("abcdef"), "label": [1, 1, 1, 0, 0, 0], "score": [0.9, 0.8, 0.05, 0.1, 0, 0.6]})


def records(path) -> list[dict]:
    """All that the file of a run holds."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", path]
    return [json.loads(line) for line in subprocess.check_output(command, text=True).splitlines()]


@pytest.fixture(scope="module")
def tracked(few, tmp_path_factory):
    """The folder of a run, and the records of its kinds."""
    folder = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE")
        patch.setenv("WANDB_DIR", str(folder))
        patch.setattr("builtins.input", None)  # nothing is asked
        wandb.teardown()  # an earlier test's settings
        train(source=few, epochs=2, batch_size=64, output=folder)
    kinds = {}
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    for record in records(path):
        kinds.setdefault(record["type"], []).append(record[record["type"]])
    return folder, kinds


@pytest.fixture
def history(tracked) -> dict[str, list]:
    """The values of each key that was logged, in their order."""
    values = {}
    for record in tracked[1]["history"]:
        for key, value in record["item"].items():
            values.setdefault(key, []).append(value)
    return values


@pytest.mark.parametrize("name", ["train/loss", "val/loss", "val/accuracy", "val/precision", "val/recall", "val/f1"])
def test_each_metric_is_logged_once_an_epoch(name, history):
    assert len(history[name]) == len(history["val/mcc"]) == 2


def test_the_learning_rate_falls_and_gradients_have_a_norm(history):
    rates = history["lr-AdamW"]
    assert rates[0] > rates[-1]
    assert all(norm > 0 for norm in history["train/gradient_norm"])


def test_plots_and_the_table_of_mistakes_are_in_the_run(history, tracked):
    tables = {key.removesuffix("._type") for key in history if key.endswith("._type")}
    assert tables == {"confusion_matrix_table", "roc_table", "calibration_table", "wrong_sentences"}
    charts = {key for record in tracked[1]["config"] for key in record["update"] if ".visualize." in key}
    assert charts == {f"_wandb.visualize.{name}" for name in ("confusion_matrix", "roc", "calibration")}


def test_the_run_holds_its_settings_its_result_and_how_it_ended(tracked):
    folder, kinds = tracked
    config = kinds["run"][0]["config"]["update"]
    assert (config["encoder"], config["batch_size"], config["learning_rate"]) == ("bundled", 64, 1e-3)
    summary = {key: value for record in kinds["summary"] for key, value in record["update"].items()}
    assert summary["best/mcc"] == json.loads((folder / "reports" / "metrics.json").read_text())["model"]["mcc"]
    assert kinds["exit"][0].get("exit_code", 0) == 0


def test_code_and_model_are_artifacts_of_the_run(tracked):
    artifacts = {artifact["type"]: artifact for artifact in tracked[1]["artifact"]}
    files = {name: {file["path"] for file in artifact["manifest"]["contents"]} for name, artifact in artifacts.items()}
    assert {"train.py", "model.py", "data.py"} <= files["code"]
    assert files["model"] == {"best-checkpoint.ckpt"}
    assert json.loads(artifacts["model"]["metadata"])["encoder"] == "bundled"
    assert {file.split("/")[0] for file in files["code"] if "/" in file} <= {"configs"}  # of tests/ nothing


def test_a_run_that_breaks_off_is_marked_as_failed_and_resumed_under_its_id(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(OSError, match="power cut"), open_run({}) as run:
        raise OSError("power cut")
    (ended,) = (record["exit"] for record in records(run.settings.sync_file) if record["type"] == "exit")
    assert ended["exit_code"] == 1
    with open_run({}, run.id) as resumed:
        assert resumed.id == run.id


def test_the_report_holds_the_run_in_files(tracked):
    reports = tracked[0] / "reports"
    history = pd.read_csv(reports / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert {"train/loss", "val/loss", "val/accuracy", "val/f1", "val/mcc"} <= {*history}
    for name in ("confusion_matrix", "roc", "calibration", "learning_curves"):
        assert (reports / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_resumed_run_keeps_the_history_of_its_epochs(few, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    settings = {"source": few, "epochs": 2, "batch_size": 128, "output": tmp_path}
    with monkeypatch.context() as patch:
        patch.setattr(training.ColaModel, "on_train_epoch_start", lambda model: model.current_epoch and stop())
        with pytest.raises(SystemExit):
            train(**settings)
    train(**settings, resume=True)
    assert pd.read_csv(tmp_path / "reports" / "history.csv")["epoch"].tolist() == [1, 2]


def test_the_surest_mistake_comes_first():
    assert wrong_sentences(JUDGED)["sentence"].tolist() == ["c", "f"]
    assert wrong_sentences(JUDGED)["answer"].tolist() == ["unacceptable", "acceptable"]


def test_calibration_bins_hold_each_sentence_once():
    bins = calibration(JUDGED.assign(score=[0, 0.05, 0.55, 0.55, 0.95, 1]))
    assert bins["sentences"].tolist() == [2, 2, 2]
    np.testing.assert_allclose(bins["mean score"], [0.025, 0.55, 0.975])
    assert bins["share acceptable"].tolist() == [1, 0.5, 0]


def test_metrics_are_numbers_alone(tmp_path):
    write_report(tmp_path, evaluate(JUDGED, "elsewhere"), JUDGED)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics) == {"model", "majority"}
    assert all(isinstance(value, float) for scores in metrics.values() for value in scores.values())
