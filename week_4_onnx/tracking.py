"""Weights & Biases: a run's settings, metrics, plots, mistakes and model, in one place.

Without a login a run is written to `wandb/`, to be looked at with `wandb leet` and sent with `wandb sync`. With one
(`wandb login`, or WANDB_API_KEY) it goes to W&B as it happens. WANDB_MODE=disabled turns all of this off.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import wandb
from pytorch_lightning.utilities import rank_zero_only

from report import calibration, roc, wrong_sentences
from sources import LABELS

CODE = Path(__file__).parent


@contextmanager
def open_run(settings: dict, run_id: str | None = None, name: str | None = None) -> Iterator[wandb.Run]:
    """A run that holds the settings and the code; `run_id` is that of an interrupted run, to go on with it."""
    if rank_zero_only.rank > 0:
        os.environ["WANDB_MODE"] = "disabled"  # of several processes, the first reports
    logged_in = wandb.login(prompt=False, verify=False)  # else W&B asks, and waits for an answer
    run = wandb.init(
        name=name,
        project=os.environ.get("WANDB_PROJECT", "mlops-basics"),
        mode=os.environ.get("WANDB_MODE") or ("online" if logged_in else "offline"),
        config=settings,
        id=run_id,
        resume="allow" if run_id and logged_in else None,  # offline, `wandb sync` puts the parts together
        settings=wandb.Settings(silent=True),
    )
    try:
        code = {*CODE.glob("*.py"), *CODE.glob("*.yaml"), *CODE.glob("configs/**/*.yaml")}  # and no .venv
        run.log_code(CODE, include_fn=lambda path: Path(path) in code)
        yield run
    except BaseException:  # Ctrl-C too
        run.finish(exit_code=1)  # marks the run as failed
        raise
    run.finish()


def log_report(run: wandb.Run, results: dict[str, dict], judged: pd.DataFrame) -> None:
    """Log the final numbers, plots, and the sentences that the model got wrong."""
    run.summary.update({f"best/{name}": value for name, value in results["model"].items()})
    answers = (judged["score"] >= 0.5).astype(int)
    run.log(
        {
            "confusion_matrix": wandb.plot.confusion_matrix(
                y_true=judged["label"].tolist(), preds=answers.tolist(), class_names=LABELS, title="Confusion matrix"
            ),
            "roc": line(roc(judged), "false positive rate", "true positive rate", "ROC curve"),
            "calibration": line(calibration(judged), "mean score", "share acceptable", "Calibration"),
            "wrong_sentences": wandb.Table(dataframe=wrong_sentences(judged)),
        }
    )


def line(table: pd.DataFrame, x: str, y: str, title: str) -> wandb.plot.CustomChart:
    return wandb.plot.line(wandb.Table(dataframe=table), x, y, title=title)


def log_checkpoint(run: wandb.Run, checkpoint: Path, provenance: dict) -> None:
    """Keep the model with the run, as a new version of the artifact `cola-classifier`."""
    artifact = wandb.Artifact("cola-classifier", type="model", metadata=provenance)
    artifact.add_file(str(checkpoint))
    run.log_artifact(artifact, aliases=["best"])
