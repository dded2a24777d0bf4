"""Export the trained model to ONNX, check that it still gives the same answers, and make it smaller.

    python convert_model_to_onnx.py

In the output folder:

    model.onnx        what is served: int8 weights, or fp32 where int8 would cost too much MCC
    model.fp32.onnx   the export as it is, for comparison
    tokenizer.json    the tokenizer of both

Nothing there is touched before every check has passed.
"""

import argparse
import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

from data import load_corpus
from errors import InputError, friendly_errors
from evaluate import data_of, measure
from inference import CHECKPOINT, ColaPredictor
from inference_onnx import MODEL, SEAL, TOKENIZER, ColaONNXPredictor
from model import ColaModel
from sentences import LABELS

FP32 = "model.fp32.onnx"
TOLERANCE = 1e-4  # of logits: rounding differs between libraries, by about 1e-6
INPUTS = ("input_ids", "attention_mask")

for library in ("torch.onnx", "onnxscript", "onnx_ir"):  # their warnings are about what they leave as it is
    logging.getLogger(library).setLevel(logging.ERROR)


def convert(checkpoint: str | Path, rows: pd.DataFrame, output: Path, max_mcc_loss: float = 0.01) -> dict:
    """Export a checkpoint into `output` and return what was measured on the way.

    Args:
        rows: the validation set, columns `sentence` and `label`.
        max_mcc_loss: int8 weights that cost more MCC than this are not served.

    Raises:
        InputError: the exported model does not give PyTorch's answers; `output` is as it was.
    """
    predictor = ColaPredictor(checkpoint)
    sentences, labels = rows["sentence"].tolist(), torch.tensor(rows["label"].to_numpy())
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".export-") as folder:
        fp32, int8, served = Path(folder, FP32), Path(folder, "model.int8.onnx"), Path(folder, MODEL.name)
        tokenizer = Path(folder, TOKENIZER)
        tokenizer.write_text(predictor.tokenizer.to_str(pretty=True), encoding="utf-8")
        metadata = {
            "labels": json.dumps(LABELS),
            "max_length": str(predictor.tokenizer.truncation["max_length"]),
            "pad_id": str(predictor.tokenizer.token_to_id("[PAD]") or 0),
            "provenance": json.dumps(predictor.provenance),
            "tokenizer_sha256": hashlib.sha256(tokenizer.read_bytes()).hexdigest(),
        }
        export(predictor.model, fp32)
        seal(fp32, metadata | {"precision": "fp32"})
        logits = {"pytorch": predictor.logits(sentences)}  # (N, 2) each
        logits["fp32"] = ColaONNXPredictor(fp32).logits(sentences, batch_size=7)  # other batches, other widths
        parity = compare_logits(logits["pytorch"], logits["fp32"])

        quantize(fp32, int8)
        seal(int8, metadata | {"precision": "int8"})
        logits["int8"] = ColaONNXPredictor(int8).logits(sentences)
        mcc = {name: measure(torch.from_numpy(rows.argmax(axis=1)), labels)["mcc"] for name, rows in logits.items()}
        loss = round(mcc["pytorch"] - mcc["int8"], 4)
        lost = f"MCC {mcc['pytorch']:.3f} -> {mcc['int8']:.3f}, loss {loss:.3f} (limit {max_mcc_loss:g})"
        precision = "int8" if loss <= max_mcc_loss else "fp32"
        seal(int8 if precision == "int8" else fp32, {"int8": lost})
        shutil.copyfile(int8 if precision == "int8" else fp32, served)
        sizes = {"fp32": fp32.stat().st_size, "int8": int8.stat().st_size}
        for path in (tokenizer, fp32, served):
            os.replace(path, output / path.name)
    return {
        "sentences": len(sentences),
        **parity,
        "mcc": mcc,
        "size_bytes": sizes,
        "served": precision,
        "why": lost if precision == "int8" else f"as int8 gives {lost}",
    }


def export(model: ColaModel, path: Path) -> None:
    """Write a model as ONNX that takes any number of sentences of any length."""
    example = (torch.tensor([[2, 5, 3, 0], [2, 5, 6, 3]]), torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]))  # (2, 4) each
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")  # PyTorch's own, about PyTorch
        torch.onnx.export(
            model.network,
            kwargs=dict(zip(INPUTS, example, strict=True)),
            f=path,
            input_names=INPUTS,
            output_names=["logits"],
            dynamic_shapes={name: {0: "batch", 1: "sequence"} for name in INPUTS},
            external_data=False,
            verbose=False,
        )


def quantize(source: Path, path: Path) -> None:
    """Write a model with weights of 8 bits, those of the embeddings included.

    Activations are turned into 8 bits too, while the model runs. Weights are unsigned and have a scale for each output:
    on processors without VNNI, products of unsigned and signed numbers overflow, and one scale for a whole matrix is
    coarser.
    """
    prepared = path.with_suffix(".prepared")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_dynamic(prepared, path, weight_type=QuantType.QUInt8, per_channel=True)


def seal(path: Path, metadata: dict[str, str]) -> None:
    """Add metadata to a model, and to its end the SHA-256 of all before it."""
    model = onnx.load(path)
    known = {entry.key: entry.value for entry in model.metadata_props} | metadata
    known.pop("sha256", None)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, known | {"sha256": "0" * SEAL})  # the last entry is the end of the file
    content = model.SerializeToString()
    assert content.endswith(b"0" * SEAL)
    path.write_bytes(content[:-SEAL] + hashlib.sha256(content[:-SEAL]).hexdigest().encode())


def compare_logits(expected: np.ndarray, found: np.ndarray) -> dict:
    """The largest difference of logits (N, 2) and the number of labels that changed.

    Raises:
        InputError: the difference is above `TOLERANCE`, or a label changed.
    """
    difference = float(np.abs(expected - found).max())
    changed = int((expected.argmax(axis=1) != found.argmax(axis=1)).sum())
    if not difference <= TOLERANCE or changed:  # not <=: NaN fails too
        raise InputError(
            f"the export gives other answers than PyTorch: logits differ by up to {difference:.1e} (allowed: "
            f"{TOLERANCE:.0e}) and {changed} of {len(expected)} labels changed. What was there before is untouched; "
            "try the versions of constraints.txt"
        )
    return {"max_logit_difference": difference, "labels_changed": changed}


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Export the trained model to ONNX.")
    parser.add_argument("--checkpoint", default=CHECKPOINT, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--data", metavar="DIR", help="default: what the model was trained on")
    parser.add_argument("--output", default="models", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--reports", default="reports/onnx", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--max-mcc-loss", type=float, default=0.01, metavar="LOSS", help="default: %(default)s")
    arguments = parser.parse_args()
    place = Path(arguments.data) if arguments.data else data_of(ColaPredictor(arguments.checkpoint).provenance)
    rows = load_corpus(place)["validation"]
    results = convert(arguments.checkpoint, rows, Path(arguments.output), arguments.max_mcc_loss)
    report = Path(arguments.reports, "export.json")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(
        f"parity with PyTorch on {results['sentences']:,} sentences: logits differ by at most "
        f"{results['max_logit_difference']:.1e}, no label changed"
    )
    for name in ("fp32", "int8"):
        print(f"{name}: {results['size_bytes'][name] / 1e6:.1f} MB, MCC {results['mcc'][name]:.3f}")
    print(f"served: {results['served']}, {results['why']}: {Path(arguments.output, MODEL.name)}")


if __name__ == "__main__":
    main()
