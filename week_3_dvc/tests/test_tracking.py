"""A run is made with the real W&B client, offline, and read back from the file that `wandb sync` would upload."""

import json
import os
import pty
import subprocess
import sys
from threading import Thread

import pytest

from conftest import WEEK, options
from tracking import is_code


def records(folder) -> list[dict]:
    """All records of the only run below a folder."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    lines = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", path], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [json.loads(line) for line in lines]


def train(folder, small, terminal=subprocess.DEVNULL, **environment: str) -> int:
    """Train as a user without an account does, and return the exit code."""
    inherited = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    return subprocess.run(
        [sys.executable, WEEK / "train.py", *options(source="bundled", data=small, epochs=2, batch_size=4)],
        cwd=folder,
        env=inherited | {"WANDB_DIR": str(folder)} | environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        timeout=120,
    ).returncode


@pytest.fixture(scope="module")
def results_and_run(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked")
    assert train(folder, small, WANDB_PROJECT="a-project", WANDB_ENTITY="a-team") == 0
    return json.loads((folder / "reports" / "metrics.json").read_text()), records(folder)


@pytest.fixture(scope="module")
def run(results_and_run):
    return results_and_run[1]


def of_type(run: list[dict], kind: str) -> list[dict]:
    return [record[kind] for record in run if record["type"] == kind]


def logged(run: list[dict]) -> dict[str, list]:
    """The values of every key of the history, in their order."""
    values: dict[str, list] = {}
    for record in of_type(run, "history"):
        for key, value in record["item"].items():
            values.setdefault(key, []).append(value)
    return values


def test_every_metric_is_in_the_run_once_an_epoch(run):
    history = logged(run)
    for name in ("train/loss", "val/loss", "val/accuracy", "val/precision", "val/recall", "val/f1", "val/mcc"):
        assert len(history[name]) == 2, name


def test_the_learning_rate_rises_and_falls_and_gradients_have_a_norm(run):
    history = logged(run)
    rates = history["lr-AdamW"]
    assert max(rates) > rates[0]
    assert max(rates) > rates[-1]
    assert all(norm > 0 for norm in history["train/gradient_norm"])


def test_plots_and_the_table_of_mistakes_are_in_the_run(run):
    tables = {key.removesuffix("._type") for key in logged(run) if key.endswith("._type")}
    assert tables == {"confusion_matrix_table", "roc_table", "calibration_table", "wrong_sentences"}
    charts = {key for record in of_type(run, "config") for key in record["update"] if ".visualize." in key}
    assert charts == {f"_wandb.visualize.{name}" for name in ("confusion_matrix", "roc", "calibration")}


def test_the_run_holds_settings_and_provenance(run):
    (opened,) = of_type(run, "run")
    config = opened["config"]["update"]
    assert (config["epochs"], config["batch_size"], config["seed"]) == (2, 4, 0)
    assert config["data_revision"].startswith("sha256:")


def test_code_and_checkpoint_are_artifacts(run):
    artifacts = {artifact["type"]: artifact for artifact in of_type(run, "artifact")}
    files = {name: {file["path"] for file in artifact["manifest"]["contents"]} for name, artifact in artifacts.items()}
    assert {"train.py", "model.py", "data.py", "requirements.txt"} <= files["code"]
    assert files["model"] == {"best-checkpoint.ckpt"}
    assert json.loads(artifacts["model"]["metadata"])["source"] == "bundled"


def test_the_final_numbers_are_in_the_summary(results_and_run):
    results, run = results_and_run
    summary = {key: value for record in of_type(run, "summary") for key, value in record["update"].items()}
    assert summary["best/mcc"] == results["model"]["mcc"]
    assert summary["majority/accuracy"] == results["majority"]["accuracy"]


def test_project_and_team_come_from_the_environment(run):
    (opened,) = of_type(run, "run")
    assert (opened["project"], opened["entity"]) == ("a-project", "a-team")


def test_without_a_login_nothing_is_asked_even_on_a_terminal(tmp_path, small):
    user, terminal = pty.openpty()
    screen = Thread(target=lambda: [*iter(lambda: os.read(user, 1000), b"")], daemon=True)
    screen.start()
    assert train(tmp_path, small, terminal) == 0
    assert records(tmp_path)


def test_a_login_that_cannot_work_is_refused_with_the_cure(command, small, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "too-short")
    run = command("train.py", *options(source="bundled", data=small))
    assert run.returncode == 2
    assert b"mend that, or set WANDB_MODE=offline" in run.stderr
    assert b"Traceback" not in run.stderr


def test_a_misspelt_mode_is_refused_with_the_choice(command, small, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offlin")
    run = command("train.py", *options(source="bundled", data=small))
    assert run.returncode == 2
    assert run.stderr.decode() == "error: WANDB_MODE=offlin: choose online, offline or disabled\n"


def test_results_do_not_count_as_code():
    assert is_code(str(WEEK / "train.py"))
    assert is_code(str(WEEK / "tests" / "test_train.py"))
    for result in ("outputs/a/.hydra/config.yaml", "reports/a.txt", "wandb/a.py", ".venv/lib/a.py"):
        assert not is_code(str(WEEK / result))
