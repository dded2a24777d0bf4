"""Three ways to run one model, side by side: PyTorch, ONNX, and ONNX with weights of 8 bits.

python compare.py        # a table, and as a picture reports/onnx/comparison.png

Each way has one thread. p50 and p99 are of 200 sentences, each alone; the rest is of the whole validation set, which
PyTorch takes in batches.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from convert_model_to_onnx import FP32
from data import load_corpus
from inference import CHECKPOINT, ColaPredictor
from inference_onnx import MODEL, ColaONNXPredictor
from model import MCC

PICTURE = Path("reports/onnx/comparison.png")
Predictor = ColaPredictor | ColaONNXPredictor


def load(checkpoint: Path, models: Path) -> dict[str, tuple[Predictor, Path]]:
    """The ways by name, each with its file; where int8 has lost too much, the model that is served is fp32 itself."""
    pytorch, served = ColaPredictor(checkpoint), ColaONNXPredictor(models / MODEL.name)
    if pytorch.model.hparams.provenance != served.facts["provenance"]:
        sys.exit(f"{models / MODEL.name} was not made from {checkpoint}: run python convert_model_to_onnx.py")
    return {
        "PyTorch": (pytorch, checkpoint),
        "ONNX fp32": (ColaONNXPredictor(models / FP32.name), models / FP32.name),
        f"ONNX {served.facts['precision']}": (served, models / MODEL.name),
    }


def measure(ways: dict[str, tuple[Predictor, Path]], sentences: list[str], labels: Tensor) -> pd.DataFrame:
    """A row a way, a column a measure."""
    torch.set_num_threads(1)
    ms = {name: [] for name in ways}
    for sentence in sentences[:200]:
        for name, (predictor, _) in ways.items():  # in turn: a busy moment of the machine meets all alike
            started = time.perf_counter()
            predictor.logits([sentence])
            ms[name].append(1000 * (time.perf_counter() - started))
    rows = {}
    for name, (predictor, path) in ways.items():
        started = time.perf_counter()
        answers = torch.as_tensor(predictor.logits(sentences)).argmax(dim=1)  # (N,)
        rows[name] = {
            "p50 (ms)": np.percentile(ms[name], 50),
            "p99 (ms)": np.percentile(ms[name], 99),
            "sentences/s": len(sentences) / (time.perf_counter() - started),
            "size (MB)": path.stat().st_size / 1e6,
            "MCC": float(MCC()(answers, labels)),
        }
    return pd.DataFrame(rows).T


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel of bars for each measure."""
    figure = Figure(figsize=(12, 2.2), layout="constrained")
    for axes, column in zip(figure.subplots(1, len(table.columns), sharey=True), table, strict=True):
        bars = axes.barh(table.index, table[column], color="#3b6ea5")
        axes.bar_label(bars, fmt=lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}", padding=3)
        axes.margins(x=0.3)
        axes.set(title=column, xticks=[])
    figure.axes[0].invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    ways = load(CHECKPOINT, MODEL.parent)
    validation = load_corpus(ways["PyTorch"][0].model.hparams.provenance["source"])["validation"]
    table = measure(ways, list(validation["sentence"]), torch.tensor(validation["label"]))
    print(table.to_string(float_format="{:,.2f}".format, formatters={"MCC": "{:.3f}".format}))
    draw(table, PICTURE)
    p50 = table["p50 (ms)"]
    print(f"{table.index[-1]} answers {p50.iloc[0] / p50.iloc[-1]:.1f} times as fast as PyTorch")
