"""The same numbers, plots and mistakes as files in a folder, for readers without an account.

metrics.json            accuracy, precision, recall, F1 and MCC, beside the majority baseline
wrong_sentences.csv     each sentence that was misjudged, the surest mistakes first
confusion_matrix.png    labels against answers
roc.png                 the trade-off between the two kinds of mistake
calibration.png         is a score of 0.8 right 8 times in 10?
history.csv             of a training: its metrics, epoch by epoch
learning_curves.png     the same as a picture
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytorch_lightning as pl
import torch
from torchmetrics import Metric
from torchmetrics.classification import BinaryConfusionMatrix, BinaryROC
from torchmetrics.functional.classification import binary_roc

from sources import LABELS


class History(pl.Callback):
    """The metrics of each epoch; a resumed training takes them up again."""

    def __init__(self):
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, model: pl.LightningModule) -> None:
        metrics = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        self.rows.append({"epoch": trainer.current_epoch + 1} | metrics)

    def state_dict(self) -> dict:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict) -> None:
        self.rows = state["rows"]


def write_report(folder: Path, results: dict[str, dict], judged: pd.DataFrame, history: list[dict] = ()) -> None:
    """Write the files above; `judged` is what `evaluate.judge` returns."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(results, indent=2) + "\n")
    wrong_sentences(judged).to_csv(folder / "wrong_sentences.csv", index=False)
    figures = {
        "confusion_matrix": plot(BinaryConfusionMatrix(), judged, labels=LABELS, cmap="Blues"),
        "roc": plot(BinaryROC(), judged, score=True),
        "calibration": plot_calibration(calibration(judged)),
    }
    if history:
        table = pd.DataFrame(history)
        table.to_csv(folder / "history.csv", index=False)
        figures["learning_curves"] = plot_history(table)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=150, bbox_inches="tight")
        plt.close(figure)


def wrong_sentences(judged: pd.DataFrame) -> pd.DataFrame:
    """Columns `sentence`, `label`, `answer` (words) and `score`; the surest mistakes first."""
    table = judged.assign(answer=(judged["score"] >= 0.5).astype(int), score=judged["score"].round(4))
    wrong = table[table["label"] != table["answer"]]
    wrong = wrong.sort_values("score", key=lambda score: -(score - 0.5).abs(), kind="stable")
    words = {column: wrong[column].map(dict(enumerate(LABELS))) for column in ("label", "answer")}
    return wrong.assign(**words)[["sentence", "label", "answer", "score"]]


def calibration(judged: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """One row a bin of like scores: their mean, and the share of their sentences that is acceptable."""
    groups = judged.groupby((judged["score"] * bins).astype(int).clip(upper=bins - 1))
    means = groups.agg(mean=("score", "mean"), share=("label", "mean"), sentences=("label", "size"))
    return means.set_axis(["mean score", "share acceptable", "sentences"], axis=1).reset_index(drop=True)


def roc(judged: pd.DataFrame) -> pd.DataFrame:
    """One row a threshold: which share of the unacceptable passes it, and which of the acceptable."""
    false_positive, true_positive, _ = binary_roc(*tensors(judged))
    return pd.DataFrame({"false positive rate": false_positive, "true positive rate": true_positive})


def tensors(judged: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(judged["score"].to_numpy()), torch.tensor(judged["label"].to_numpy())  # (N,), (N,)


def plot(metric: Metric, judged: pd.DataFrame, **options) -> plt.Figure:
    """The metric as torchmetrics draws it."""
    metric.update(*tensors(judged))
    return metric.plot(**options)[0]


def plot_calibration(bins: pd.DataFrame) -> plt.Figure:
    axes = bins.plot.scatter("mean score", "share acceptable", s="sentences", figsize=(4.5, 4), title="Calibration")
    axes.axline((0, 0), slope=1, linestyle="--", color="grey")  # a score of 0.8 is right 8 times in 10
    return axes.figure


def plot_history(history: pd.DataFrame) -> plt.Figure:
    pairs = [("train/loss", "val/loss"), ("val/accuracy", "val/mcc")]
    curves = history.set_index("epoch")[[name for pair in pairs for name in pair]]
    return curves.plot(subplots=pairs, layout=(1, 2), figsize=(9, 4), marker="o", grid=True).flat[0].figure
