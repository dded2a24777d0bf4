"""What the trained model gets right and wrong, as plots and tables in a folder: for readers without any account.

metrics.json            accuracy, precision, recall, F1 and MCC, beside the majority baseline
provenance.json         the settings of the training, and where data, encoder and code came from
confusion_matrix.png    labels against answers
roc.png                 the trade-off between the two kinds of mistake
calibration.png         is a score of 0.8 right 8 times in 10?
learning_curves.png     loss, accuracy and MCC, epoch by epoch
history.csv             the numbers behind the learning curves
wrong_sentences.csv     every sentence of the validation set that was misjudged, the surest mistakes first
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torchmetrics.functional.classification import binary_auroc, binary_confusion_matrix, binary_roc

from sentences import LABELS

BINS = 10  # of the calibration plot
BLUE, ORANGE, GREY = "#3b6ea5", "#d9822b", "#888888"


def write_report(
    folder: Path,
    results: dict,
    scores: np.ndarray,
    rows: pd.DataFrame,
    provenance: dict,
    history: list[dict] | None = None,
) -> None:
    """Write the files named above.

    Args:
        folder: made if it is not there; what an earlier report left in it is overwritten.
        results: what `evaluate` returned.
        scores: P(acceptable) (N,).
        rows: the validation set, columns `sentence` and `label`, N rows.
        provenance: of the model, as its checkpoint holds it.
        history: one dictionary of metrics an epoch; None where there was no training, and then no curves.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = rows["label"].to_numpy()  # (N,)
    for name, content in (("metrics.json", results), ("provenance.json", provenance)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    wrong_sentences(scores, rows).to_csv(folder / "wrong_sentences.csv", index=False)
    plot_confusion(confusion(scores, labels)).savefig(folder / "confusion_matrix.png", dpi=150)
    plot_roc(roc(scores, labels), area_under_roc(scores, labels)).savefig(folder / "roc.png", dpi=150)
    plot_calibration(calibration(scores, labels)).savefig(folder / "calibration.png", dpi=150)
    if history:
        table = pd.DataFrame(history)
        table.to_csv(folder / "history.csv", index=False)
        plot_learning_curves(table).savefig(folder / "learning_curves.png", dpi=150)


def wrong_sentences(scores: np.ndarray, rows: pd.DataFrame) -> pd.DataFrame:
    """Columns `sentence`, `label`, `answer` (words) and `score`; the surest mistakes first."""
    answers = (scores >= 0.5).astype(int)
    table = pd.DataFrame(
        {
            "sentence": rows["sentence"].to_numpy(),
            "label": [LABELS[i] for i in rows["label"]],
            "answer": [LABELS[i] for i in answers],
            "score": scores.round(4),
        }
    )
    wrong = table[answers != rows["label"].to_numpy()]
    return wrong.iloc[np.argsort(-np.abs(wrong["score"].to_numpy() - 0.5), kind="stable")]


def confusion(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts (2, 2): rows are labels, columns are answers."""
    return binary_confusion_matrix(torch.tensor(scores), torch.tensor(labels)).numpy()


def roc(scores: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Columns `false_positive_rate` and `true_positive_rate`, one row a threshold."""
    fpr, tpr, _ = binary_roc(torch.tensor(scores), torch.tensor(labels))
    return pd.DataFrame({"false_positive_rate": fpr.numpy(), "true_positive_rate": tpr.numpy()})


def area_under_roc(scores: np.ndarray, labels: np.ndarray) -> float:
    """The chance that an acceptable sentence scores above an unacceptable one: 0.5 is guessing, 1 is perfect."""
    return float(binary_auroc(torch.tensor(scores), torch.tensor(labels)))


def calibration(scores: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Columns `mean_score`, `share_acceptable` and `sentences`, one row a bin of like scores that is not empty.

    A reliability diagram; see Guo et al. 2017, "On calibration of modern neural networks".
    """
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    groups = pd.DataFrame({"score": scores, "label": labels}).groupby(bins)
    return groups.agg(
        mean_score=("score", "mean"), share_acceptable=("label", "mean"), sentences=("label", "size")
    ).reset_index(drop=True)


def plot_confusion(counts: np.ndarray) -> Figure:
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues", vmin=0)
    for row, column in np.ndindex(2, 2):
        dark = counts[row, column] > counts.max() / 2
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=14,
                  color="white" if dark else "black")  # fmt: skip
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=LABELS, yticklabels=LABELS, xlabel="answer", ylabel="label")
    axes.set_title("Confusion matrix (sentences)")
    return figure


def plot_roc(curve: pd.DataFrame, area: float) -> Figure:
    figure, axes = _square_plot("ROC curve", "false positive rate", "true positive rate")
    axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], color=BLUE, label=f"model: area {area:.3f}")
    axes.plot([0, 1], [0, 1], "--", color=GREY, label="guessing: area 0.5")
    axes.legend(loc="lower right")
    return figure


def plot_calibration(bins: pd.DataFrame) -> Figure:
    figure, axes = _square_plot("Calibration", "score: mean P(acceptable)", "share that is acceptable")
    axes.plot([0, 1], [0, 1], "--", color=GREY, label="perfect")
    axes.plot(bins["mean_score"], bins["share_acceptable"], color=BLUE)
    axes.scatter(bins["mean_score"], bins["share_acceptable"], s=10 + bins["sentences"] / bins["sentences"].max() * 90,
                 color=BLUE, label="model; the larger, the more sentences")  # fmt: skip
    axes.legend(loc="upper left")
    return figure


def plot_learning_curves(history: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    loss, quality = figure.subplots(1, 2)
    for axes, name, color in (
        (loss, "train/loss", ORANGE),
        (loss, "val/loss", BLUE),
        (quality, "val/accuracy", ORANGE),
        (quality, "val/mcc", BLUE),
    ):
        axes.plot(history["epoch"], history[name], marker="o", markersize=3, color=color, label=name)
        axes.set_xlabel("epoch")
        axes.legend()
        axes.grid(alpha=0.3)
    loss.set_title("Loss")
    quality.set_title("Quality on the validation set")
    return figure


def _square_plot(title: str, x: str, y: str) -> tuple:
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    return figure, axes
