"""Is the model still asked what it was made for? Tests the predictions of a log, window by window.

python -m monitoring.monitor logs/*.jsonl                        # 1: the newest has drifted; 2: nothing can be said
python -m monitoring.monitor logs/*.jsonl --labels labels.csv    # and the MCC, where labels have come in

Each finding is also an event, for the panels: in drift.jsonl beside the log.
"""

import argparse
import csv
import json
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd

from monitoring.drift import REFERENCE, drift_tests, log_ratio
from monitoring.mcc import mcc_interval
from monitoring.prediction_log import event, hash_of
from monitoring.read_log import read_log

FEWEST = 100  # predictions of a window, and labels for an MCC: less than these say nothing
QUERY = """SELECT event.id AS id, "@timestamp" AS time, cola.model.sha256 AS model, cola.tokens, cola.unknown_tokens,
    cola.vocabulary, cola.score, cola.acceptable, cola.sentence, cola.sentence_hash AS hash
    FROM events WHERE event.action = 'judge' AND event.outcome = 'success' ORDER BY time, id"""


def note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def add_labels(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows with a column `truth`: 0, 1, or nothing where no label has come in.

    A label finds its prediction by `id` (event.id) where it matches, else by `sentence`, or by the sentence's hash.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:  # strict: a stray quote would swallow rows without a word
        labels = pd.DataFrame(csv.DictReader(file, strict=True)).astype({"label": int})
    if "sentence" in labels and rows["hash"].notna().any():
        labels["hash"] = labels["sentence"].map(hash_of)
    rows = rows.assign(truth=np.nan)
    for key in [name for name in ("id", "sentence", "hash") if name in labels]:
        same = labels.groupby(key)["label"]
        truth = same.first()[same.nunique() == 1]
        found = rows[key].map(truth).astype(float)
        fresh = rows["truth"].isna() & found.notna()
        rows["truth"] = rows["truth"].fillna(found)
        note(f"{path}: {fresh.sum():,} of {len(rows):,} predictions have a label by {key}")
        if at_odds := same.ngroups - len(truth):
            note(f"{path}: {at_odds:,} labelled both 0 and 1: left out")
    return rows


def examine(reference: pd.DataFrame, window: pd.DataFrame, alpha: float) -> dict:
    """What a window of predictions is like; the three strangest, where it has drifted."""
    findings = drift_tests(reference, window)
    drifted = [finding.test for finding in findings if finding.p <= alpha]
    report = {"window": window, "findings": findings, "drifted": drifted}
    if drifted:
        order = np.argsort(-log_ratio(reference, window, drifted), kind="stable")
        shown = window["sentence"].fillna(window["hash"]).fillna(window["id"])
        report["strangest"] = shown.iloc[order].drop_duplicates().head(3).tolist()
    known = window.dropna(subset="truth") if "truth" in window else window[:0]
    report["labels"] = len(known)
    if len(known) >= FEWEST and known["truth"].nunique() == 2:
        report["mcc"] = mcc_interval(known["truth"].to_numpy(int), known["acceptable"].to_numpy(int))
    return report


def as_events(report: dict, alpha: float) -> list[dict]:
    """The findings on a window as events of its end, with ids that follow from it: found twice, there once."""
    window = report["window"]
    first, last = window.iloc[0], window.iloc[-1]
    found = [
        ("drift-test", {"drift": each._asdict() | {"drifted": int(each.p <= alpha)}}) for each in report["findings"]
    ]
    if "mcc" in report:
        value, low, high = report["mcc"]
        found.append(("quality", {"quality": {"mcc": value, "low": low, "high": high, "labels": report["labels"]}}))
    events = []
    for number, (action, cola) in enumerate(found):
        made = event(action, "success", {"model": {"sha256": last["model"]}} | cola, last["time"].to_pydatetime())
        made["event"]["id"] = uuid.uuid5(uuid.NAMESPACE_URL, f"cola:{first['id']}:{last['id']}:{number}").hex
        made["event"]["dataset"] = "cola.drift"
        events.append(made)
    return events


def write_events(events: list[dict], path: Path) -> None:
    """Add findings to those of earlier runs, in place of the same ones."""
    lines = path.read_text().splitlines() if path.exists() else []
    kept = {json.loads(line)["event"]["id"]: line for line in lines}
    kept |= {each["event"]["id"]: json.dumps(each) for each in events}
    path.write_text("".join(f"{line}\n" for line in kept.values()))


def show(report: dict) -> None:
    window, drifted = report["window"], report["drifted"]
    state = f"drifted: {', '.join(drifted)}" if drifted else "like the reference"
    line = f"{window['time'].iloc[0]:%Y-%m-%d %H:%M}  {len(window):>6,}  {state}"
    if "mcc" in report:
        line += "  MCC {:.3f} ({:.3f} to {:.3f}) of {} labels".format(*report["mcc"], report["labels"])
    elif report["labels"]:
        line += f"  {report['labels']} labels: no MCC without {FEWEST}, of both classes"
    print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description="Test the predictions of a log for drift.")
    parser.add_argument("log", nargs="+", help="files of events; .gz too")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="default: %(default)s")
    parser.add_argument("--labels", type=Path, help="a CSV of id or sentence, and label, 0 or 1")
    parser.add_argument("--window", type=int, default=500, help="predictions; default: %(default)s")
    parser.add_argument("--alpha", type=float, default=0.01, help="the share of false alarms; default: %(default)s")
    parser.add_argument("--output", type=Path, help="the findings as events; default: drift.jsonl beside the log")
    args = parser.parse_args()
    if args.window < FEWEST or not 0.0025 <= args.alpha < 1:  # five tests on 1,999 permutations find no smaller p
        parser.error(f"--window is {FEWEST} or more, and --alpha 0.0025 or more")
    if not args.reference.exists():
        parser.exit(2, f"{args.reference} not found: run python -m monitoring.drift, or dvc pull\n")
    if missing := [path for path in args.log if not Path(path).exists()]:
        parser.exit(2, f"{missing[0]} not found: start the service with COLA_LOG={missing[0]}\n")
    reference = pd.read_json(args.reference, lines=True, dtype=False)
    model = reference["model"].iloc[0]
    everything = read_log(args.log).execute(QUERY).df()
    rows = everything[everything["model"] == model].reset_index(drop=True)
    if len(rows) < len(everything):
        note(f"{len(everything) - len(rows):,} predictions of other models are not tested")
        if everything["model"].iloc[-1] != model:
            parser.exit(2, f"the newest predictions are of another model than {args.reference}: give its --reference\n")
    if len(rows) < FEWEST:
        parser.exit(2, f"{len(rows)} predictions say nothing: at least {FEWEST} are needed\n")
    if args.labels:
        rows = add_labels(rows, args.labels)
    size = min(args.window, len(rows))
    starts = [*range(0, len(rows) - size, size), len(rows) - size]  # the last has the newest, and shares some
    reports = [examine(reference, rows[start : start + size], args.alpha) for start in starts]
    output = args.output or Path(args.log[0]).with_name("drift.jsonl")
    write_events([each for report in reports for each in as_events(report, args.alpha)], output)
    for report in reports:
        show(report)
    newest = reports[-1]
    if newest["drifted"]:
        first = next(i for i in range(len(reports)) if all(later["drifted"] for later in reports[i:]))
        print(f"DRIFT since {reports[first]['window']['time'].iloc[0]:%Y-%m-%d %H:%M} UTC")
        for test, distance, p in newest["findings"]:
            if test in newest["drifted"]:
                print(f"  {test}: distance {distance:.3f}, p {p:.4f}")
        print("  the strangest:", *newest["strangest"], sep="\n    ")
        sys.exit(1)


if __name__ == "__main__":
    main()
