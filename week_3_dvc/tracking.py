"""Weights & Biases: what is logged there, and how it is logged without an account.

Without a login the run is written to `wandb/` and can be uploaded later with `wandb sync wandb/offline-run-*`. With
one (`wandb login`, or the variable WANDB_API_KEY) it goes to W&B at once. WANDB_PROJECT and WANDB_ENTITY say where to,
WANDB_MODE=disabled turns it off.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import wandb
from pytorch_lightning.loggers import WandbLogger

from errors import InputError
from report import calibration, roc, wrong_sentences
from sentences import LABELS

PROJECT = "mlops-basics"
CODE = Path(__file__).resolve().parent
TIMEOUT_S = 30  # to reach W&B


def start_run(name: str, settings: dict, run_id: str | None = None) -> WandbLogger:
    """Open a run that holds the settings and the code.

    Args:
        name: shown in W&B's lists.
        settings: shown as the run's configuration.
        run_id: of the interrupted run that this one goes on with.

    Raises:
        InputError: WANDB_MODE is misspelt, or there is a login, and W&B refuses it or cannot be reached.
    """
    mode = os.environ.get("WANDB_MODE", "")
    if mode not in ("", "online", "offline", "disabled"):
        raise InputError(f"WANDB_MODE={mode}: choose online, offline or disabled")
    try:
        mode = mode or ("online" if wandb.login(prompt=False, verify=False) else "offline")
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=name,
            id=run_id,
            resume="allow" if run_id and mode == "online" else None,
            mode=mode,
            config=settings,
            settings=wandb.Settings(silent=True, init_timeout=TIMEOUT_S),
        )
    except wandb.Error as error:
        raise InputError(f"W&B does not take the run ({error}): mend that, or set WANDB_MODE=offline") from error
    run.log_code(CODE, include_fn=is_code)
    return WandbLogger(experiment=run)


def is_code(path: str) -> bool:
    """Whether a file belongs to the code of the week that is kept with a run."""
    place = Path(path).relative_to(CODE)
    return place.suffix in (".py", ".yaml", ".txt") and place.parts[0] in (place.name, "configs", "tests")


def log_report(logger: WandbLogger, results: dict, scores: np.ndarray, rows: pd.DataFrame) -> None:
    """Log the final numbers, the plots of `report.py` as live charts, and the sentences that were misjudged.

    Args: as those of `report.write_report`.
    """
    labels = rows["label"].to_numpy()
    run = logger.experiment
    run.summary.update({f"best/{name}": value for name, value in results["model"].items()})
    run.summary.update({f"majority/{name}": value for name, value in results["majority"].items()})
    confusion = wandb.plot.confusion_matrix(
        y_true=labels.tolist(), preds=(scores >= 0.5).astype(int).tolist(), class_names=LABELS, title="Confusion matrix"
    )
    curve, bins = roc(scores, labels), calibration(scores, labels)
    run.log(
        {
            "confusion_matrix": confusion,
            "roc": line(curve, "false_positive_rate", "true_positive_rate", "ROC curve"),
            "calibration": line(bins, "mean_score", "share_acceptable", "Calibration"),
            "wrong_sentences": wandb.Table(dataframe=wrong_sentences(scores, rows)),
        }
    )


def line(table: pd.DataFrame, x: str, y: str, title: str) -> wandb.plot.CustomChart:
    """A line chart of two columns."""
    return wandb.plot.line(wandb.Table(dataframe=table), x, y, title=title)


def log_checkpoint(logger: WandbLogger, path: Path, provenance: dict) -> None:
    """Keep the checkpoint with the run, as a new version of the artifact `cola-classifier`."""
    artifact = wandb.Artifact("cola-classifier", type="model", metadata=provenance)
    artifact.add_file(str(path))
    logger.experiment.log_artifact(artifact, aliases=["best"])
