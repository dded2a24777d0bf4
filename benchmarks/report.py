"""Run all benchmarks, and put what they found into results.json, the front page's table, and images/benchmarks.png.

python benchmarks/report.py [--cola DIR] [--quick]                # all of them; or `make bench COLA=DIR`
python benchmarks/report.py --only sentences serving              # some; of the others, what results.json says stays
python benchmarks/report.py --only                                # only the tables and the picture
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import matplotlib
from course import HERE, ROOT

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ALL = ["sentences", "training", "serving", "image_size", "batch_scoring", "prediction_log", "cold_start", "drift_power"]
RESULTS, PICTURE = HERE / "results.json", ROOT / "images/benchmarks.png"
BEGIN, END = "<!-- benchmarks: made by make bench -->", "<!-- /benchmarks -->"
FRONT = (  # what the front page shows: rows that begin so
    "one sentence, p50",
    "64 sentences",
    "an epoch of training, batches of 32",
    "serving 16 clients",
    "memory of the service",
    "packages of the image",
    "cold start",
)


def machine() -> dict:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {"cores": os.cpu_count(), "processor": names[0] if names else platform.machine()}


def where(measured: dict) -> str:
    quick = " Small sizes (`--quick`), so the last digits are chance." * measured["quick"]
    return f"Measured on {measured['cores']} cores ({measured['processor']}), with all rivals of a row in turn.{quick}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(row: dict, rival: str) -> float:
    """How many times better the course is than a rival; below 1, the rival is."""
    ours, theirs = next(iter(row["values"].values())), row["values"][rival]
    return ours / theirs if row["better"] == "more" else theirs / ours


def table(rows: list[dict], all_rivals: bool) -> str:
    """All others of a row, the best first; or the best and the worst of those that are not the course's own."""
    lines = ["| what | the course | others, and how many times better the course is |", "|---|--:|---|"]
    for row in rows:
        ours, *others = row["values"]
        rivals = sorted((ratio(row, name), name) for name in others if all_rivals or not name.startswith("the course"))
        said = [f"{name} {number(row['values'][name])} ({times:.2g} x)" for times, name in rivals]
        shown = "<br>".join(said if all_rivals or len(said) < 3 else [said[0], said[-1]])
        value = f"{number(row['values'][ours])} {row['unit']} {ours.removeprefix('the course').removeprefix(', ')}"
        lines.append(f"| {row['what']} | {value.strip()} | {shown} |")
    return "\n".join(lines)


def insert(path: Path, text: str) -> None:
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def draw(rows: list[dict]) -> None:
    """For each row, how many times better the course is than each rival, as points on one axis."""
    figure, axes = plt.subplots(figsize=(10, 0.55 * len(rows) + 1), layout="constrained")
    rivals = list(dict.fromkeys(name for row in rows for name in list(row["values"])[1:]))
    for place, rival in enumerate(rivals):
        points = [(ratio(r, rival), h) for h, r in enumerate(reversed(rows)) if rival in r["values"]]
        axes.plot(*zip(*points, strict=True), "o", color=plt.cm.tab20(place), label=rival)
    axes.legend(bbox_to_anchor=(1, 1), fontsize=8)
    axes.axvline(1, color="grey")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g} x")
    axes.margins(x=0.15)
    axes.set_yticks(range(len(rows)), [row["what"] for row in reversed(rows)])
    axes.set_xlabel("how many times better the course is; left of the line, the other is")
    axes.set_ylim(-0.5, len(rows))
    figure.savefig(PICTURE, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run the benchmarks and write down what they found.")
    parser.add_argument("--cola", type=Path, help="a folder with CoLA's train.csv and validation.csv; else stand-ins")
    parser.add_argument("--quick", action="store_true", help="small sizes: some minutes")
    parser.add_argument("--only", nargs="*", choices=ALL, default=ALL, help="default: all")
    args = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    options = (["--cola", str(args.cola.resolve())] if args.cola else []) + ["--quick"] * args.quick
    for name in args.only:
        print(f"== {name}", file=sys.stderr)
        said = subprocess.check_output([sys.executable, str(HERE / f"{name}.py"), *options], text=True)
        results[name] = json.loads(said)
        results["machine"] = machine() | {"quick": args.quick}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    rows = [row for name in ALL for row in results.get(name, [])]
    shown = [row for row in rows if row["what"].startswith(FRONT)]
    measured = where(results["machine"])
    insert(ROOT / "README.md", f"{table(shown, all_rivals=False)}\n\n{measured}")
    insert(HERE / "README.md", f"{table(rows, all_rivals=True)}\n\n{measured}")
    draw(shown)
