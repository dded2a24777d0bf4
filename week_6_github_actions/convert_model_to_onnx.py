"""Export the trained model to ONNX, check that it still gives the same answers, and make it smaller.

python convert_model_to_onnx.py      # models/best-checkpoint.ckpt -> models/model.onnx, models/model.fp32.onnx

models/model.onnx is replaced last, at once, and only by a model that has passed both checks.
"""

import argparse
import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

from data import load_corpus
from inference import CHECKPOINT, ColaPredictor
from inference_onnx import MODEL, ColaONNXPredictor
from model import MCC

FP32 = MODEL.with_name("model.fp32.onnx")  # for comparison
REPORT = Path("reports/onnx/export.json")
TOLERANCE = 1e-4  # of logits: libraries round differently, by about 1e-6
MAY_LOSE = 0.01  # MCC, for a model of a quarter of the size

for library in ("torch.onnx", "onnxscript"):  # their warnings are about what they leave as it is
    logging.getLogger(library).setLevel(logging.ERROR)


def export(predictor: ColaPredictor, path: Path) -> None:
    """Write the model as ONNX that takes any number of sentences of any length (B, T)."""
    ids, mask = torch.tensor([[2, 5, 3, 0], [2, 5, 6, 3]]), torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])  # an example
    names = ("input_ids", "attention_mask")
    with warnings.catch_warnings(action="ignore"):  # PyTorch's own, about PyTorch
        torch.onnx.export(
            predictor.model.network,
            kwargs={"input_ids": ids, "attention_mask": mask},
            f=path,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes={name: {0: "batch", 1: "sequence"} for name in names},
            external_data=False,
            verbose=False,
        )


def quantize(fp32: Path, int8: Path) -> None:
    """Write the model with weights of 8 bits, and a scale for each column of a matrix.

    `reduce_range` keeps one bit free: processors without VNNI add products in 16 bits, which would overflow.
    """
    prepared = fp32.with_suffix(".prepared")
    quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
    quantize_dynamic(prepared, int8, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


def add_metadata(path: Path, predictor: ColaPredictor, precision: str) -> None:
    """Put into the file what travels with a model: tokenizer, labels, and where it comes from."""
    facts = {
        "precision": precision,
        "labels": json.dumps(predictor.labels),
        "provenance": json.dumps(predictor.model.hparams.provenance),
        "tokenizer": predictor.model.hparams.tokenizer,
    }
    model = onnx.load(path)
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, path)


def convert(checkpoint: Path, output: Path = MODEL.parent) -> dict:
    """Export a checkpoint, and return what was measured on the validation set of what it was trained on."""
    predictor = ColaPredictor(checkpoint)
    validation = load_corpus(predictor.model.hparams.provenance["source"])["validation"]
    sentences, labels = list(validation["sentence"]), torch.tensor(validation["label"])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as folder:  # on the same disk, so that a rename is all or nothing
        fp32, int8 = Path(folder, FP32.name), Path(folder, MODEL.name)
        export(predictor, fp32)
        add_metadata(fp32, predictor, "fp32")
        logits = {"pytorch": predictor.logits(sentences).numpy(), "fp32": ColaONNXPredictor(fp32).logits(sentences)}
        difference = float(np.abs(logits["pytorch"] - logits["fp32"]).max())
        if not difference <= TOLERANCE:  # not >: NaN is no parity either
            kept = f"{output / MODEL.name} is as it was"
            sys.exit(f"logits differ from PyTorch's by {difference:.1e}, allowed are {TOLERANCE:.0e}: {kept}")
        quantize(fp32, int8)
        add_metadata(int8, predictor, "int8")
        logits["int8"] = ColaONNXPredictor(int8).logits(sentences)
        mcc = {name: float(MCC()(torch.tensor(rows).argmax(dim=1), labels)) for name, rows in logits.items()}
        size = {"fp32": fp32.stat().st_size, "int8": int8.stat().st_size}  # bytes
        if mcc["pytorch"] - mcc["int8"] > MAY_LOSE:
            int8.write_bytes(fp32.read_bytes())
        fp32.replace(output / FP32.name)
        int8.replace(output / MODEL.name)
    return {"sentences": len(sentences), "difference": difference, "mcc": mcc, "bytes": size}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Export the trained model to ONNX.")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=MODEL.parent, help="folder; default: %(default)s")
    parser.add_argument("--report", type=Path, default=REPORT, help="default: %(default)s")
    args = parser.parse_args()
    found = convert(args.checkpoint, args.output)
    args.report.parent.mkdir(parents=True, exist_ok=True)
    args.report.write_text(json.dumps(found, indent=2) + "\n")
    print(f"{found['sentences']:,} sentences: logits differ from PyTorch's by at most {found['difference']:.1e}")
    for name, size in found["bytes"].items():
        print(f"{name}: {size / 1e6:.1f} MB, MCC {found['mcc'][name]:.3f} (PyTorch: {found['mcc']['pytorch']:.3f})")
    print(f"served: {ColaONNXPredictor(args.output / MODEL.name).facts['precision']}, {args.output / MODEL.name}")
