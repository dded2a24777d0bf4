"""PyTorch, ONNX and int8 side by side, and beside them the usual way: a Hugging Face tokenizer that pads to 128 tokens.

    python compare.py

Each is measured in a process of its own, with one thread, on the validation set: single sentences in turn (p50 and
p99 of the latency), then all at once (sentences a second). The numbers go to reports/onnx/comparison.json, and as
bars into comparison.png beside it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from errors import InputError, friendly_errors

PADDED = 128  # tokens
SENTENCE = "The boy is sitting on a bench"
COLUMNS = {  # key of the JSON: what it is, and its digits after the point
    "p50_ms": ("p50 (ms)", 2),
    "p99_ms": ("p99 (ms)", 2),
    "sentences_per_s": ("sentences/s", 0),
    "size_mb": ("size (MB)", 1),
    "memory_mb": ("peak memory (MB)", 0),
    "cold_start_s": ("cold start (s)", 2),
    "mcc": ("MCC", 3),
}


def pytorch(path: str) -> Callable:
    from inference import ColaPredictor

    _one_thread()
    return ColaPredictor(path).logits


def onnx(path: str) -> Callable:
    from inference_onnx import ColaONNXPredictor

    return ColaONNXPredictor(path).logits


def pytorch_padded(path: str) -> Callable:
    import torch

    from inference import ColaPredictor

    _one_thread()
    predictor = ColaPredictor(path)
    tokenize = _padding_tokenizer(predictor.tokenizer.to_str())

    @torch.inference_mode()
    def logits(batch: list[str]):
        inputs = tokenize(batch, return_tensors="pt")
        return predictor.model(inputs["input_ids"], inputs["attention_mask"]).numpy()

    return _in_batches(logits)


def onnx_padded(path: str) -> Callable:
    from inference_onnx import ColaONNXPredictor

    predictor = ColaONNXPredictor(path)
    tokenize = _padding_tokenizer(predictor.tokenizer.to_str())
    return _in_batches(lambda batch: predictor.session.run(["logits"], dict(tokenize(batch, return_tensors="np")))[0])


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _padding_tokenizer(tokenizer_json: str) -> Callable:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(tokenizer_json), pad_token="[PAD]")
    return lambda batch, **options: tokenizer(
        batch, padding="max_length", truncation=True, max_length=PADDED, return_token_type_ids=False, **options
    )


def _in_batches(logits: Callable) -> Callable:
    def run(sentences: list[str]):
        import numpy as np

        return np.concatenate([logits(sentences[start : start + 64]) for start in range(0, len(sentences), 64)])

    return run


WAYS = {
    "PyTorch": pytorch,
    "ONNX fp32": onnx,
    "ONNX int8": onnx,
    f"PyTorch, padded to {PADDED}": pytorch_padded,
    f"ONNX fp32, padded to {PADDED}": onnx_padded,
}


def measure_here(way: str, path: str) -> None:
    """In a process of its own: say when the first answer is there, then take sentences on stdin, print numbers."""
    logits = WAYS[way](path)
    logits([SENTENCE])
    print("ready", flush=True)
    sentences = json.load(sys.stdin)
    latencies_ms = []
    for sentence in sentences:
        started = time.perf_counter()
        logits([sentence])
        latencies_ms.append((time.perf_counter() - started) * 1000)
    started = time.perf_counter()
    answers = logits(sentences).argmax(axis=1)  # (N,)
    seconds = time.perf_counter() - started
    latencies_ms.sort()
    numbers = {
        "p50_ms": latencies_ms[len(latencies_ms) // 2],
        "p99_ms": latencies_ms[len(latencies_ms) * 99 // 100],
        "sentences_per_s": len(sentences) / seconds,
        "size_mb": Path(path).stat().st_size / 1e6,
        "memory_mb": peak_memory_mb(),
    }
    print(json.dumps({"numbers": numbers, "answers": answers.tolist()}))


def peak_memory_mb() -> float:
    """The most memory that this process has held.

    Linux's `ru_maxrss` would not do: a process is born with that of the one that started it, here one with PyTorch.
    """
    status = Path("/proc/self/status")
    if not status.exists():  # macOS, whose ru_maxrss is in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    (kibibytes,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024 / 1e6


def measure_apart(way: str, path: Path, sentences: list[str]) -> tuple[dict, list[int]]:
    """Numbers of a way to run the model, and its answers (N,).

    The file cache is warm for the cold start: this process has loaded the same libraries.
    """
    command = [sys.executable, __file__, "--measure", way, str(path)]
    started = time.perf_counter()
    # A group of its own, which Ctrl-C does not reach: it is for this process to say that it was stopped.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as process:
        try:
            ready = process.stdout.readline()
            cold_start_s = time.perf_counter() - started
            output, _ = process.communicate(json.dumps(sentences).encode())
        finally:
            process.kill()
    if process.returncode or ready != b"ready\n":
        raise RuntimeError(f"measuring {way} failed with exit code {process.returncode}")
    result = json.loads(output)
    return result["numbers"] | {"cold_start_s": cold_start_s}, result["answers"]


def table(results: dict[str, dict]) -> str:
    """The results as lines of text."""
    rows = [" " * 26 + "".join(f"{title:>18}" for title, _ in COLUMNS.values())]
    for way, numbers in results.items():
        rows.append(f"{way:<26}" + "".join(f"{numbers[key]:18,.{digits}f}" for key, (_, digits) in COLUMNS.items()))
    return "\n".join(rows)


def plot(results: dict[str, dict], path: Path) -> None:
    """Bars, a panel a number."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    panels = figure.subplots(2, 4, sharey=True).flat
    for axes, (key, (title, digits)) in zip(panels, COLUMNS.items(), strict=False):
        bars = axes.barh(list(results), [numbers[key] for numbers in results.values()], color="#3b6ea5")
        axes.bar_label(bars, fmt=f"{{:,.{digits}f}}", padding=3)
        axes.margins(x=0.3)
        axes.set_title(title)
        axes.set_xticks([])
    figure.axes[0].invert_yaxis()
    figure.axes[-1].set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Compare PyTorch, ONNX and int8.")
    parser.add_argument("--checkpoint", default="models/best-checkpoint.ckpt", metavar="FILE")
    parser.add_argument("--models", default="models", metavar="DIR", help="what convert_model_to_onnx.py wrote")
    parser.add_argument("--data", metavar="DIR", help="default: what the model was trained on")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N sentences (default: all)")
    parser.add_argument("--reports", type=Path, default="reports/onnx", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # in the processes that are measured
    arguments = parser.parse_args()
    if arguments.measure:  # which import no more than they need
        return measure_here(*arguments.measure)
    if arguments.limit is not None and arguments.limit < 1:
        raise InputError("--limit must be at least 1")

    import torch
    from tqdm import tqdm

    from convert_model_to_onnx import FP32
    from data import load_corpus
    from evaluate import data_of, measure
    from inference import ColaPredictor
    from inference_onnx import MODEL, ColaONNXPredictor

    served, fp32 = Path(arguments.models, MODEL.name), Path(arguments.models, FP32)
    predictor = ColaONNXPredictor(served)
    for path in (fp32, Path(arguments.checkpoint)):
        if not path.is_file():
            raise InputError(f'{path} not found: run "python train.py" and "python convert_model_to_onnx.py" first')
    if ColaPredictor(arguments.checkpoint).provenance != predictor.provenance:
        raise InputError(
            f'{served} was made from another checkpoint than {arguments.checkpoint}: run "python '
            'convert_model_to_onnx.py"'
        )
    place = Path(arguments.data) if arguments.data else data_of(predictor.provenance)
    rows = load_corpus(place)["validation"][: arguments.limit]
    labels = torch.tensor(rows["label"].to_numpy())
    results = {}
    for way in tqdm(WAYS, disable=None):
        if way == "ONNX int8" and predictor.precision != "int8":
            print("no int8 here: it lost too much MCC, see the metadata of the model", file=sys.stderr)
            continue
        path = Path(arguments.checkpoint) if "PyTorch" in way else served if "int8" in way else fp32
        numbers, answers = measure_apart(way, path, rows["sentence"].tolist())
        results[way] = numbers | {"mcc": measure(torch.tensor(answers), labels)["mcc"]}
    print(table(results))
    p50_ms = {way: numbers["p50_ms"] for way, numbers in results.items()}
    served_ms = p50_ms[f"ONNX {predictor.precision}"]
    print(f"the model that is served answers {p50_ms['PyTorch'] / served_ms:.1f} times as fast as PyTorch, and "
          f"{p50_ms[f'PyTorch, padded to {PADDED}'] / served_ms:.1f} times as fast as PyTorch with padding to {PADDED} "
          f"(p50 of {len(rows):,} sentences)")  # fmt: skip
    plot(results, arguments.reports / "comparison.png")
    (arguments.reports / "comparison.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
