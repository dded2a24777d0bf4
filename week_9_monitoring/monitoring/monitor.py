"""Is the model still asked what it was made for? Tests the predictions of a log, window by window.

python -m monitoring.monitor logs/*.jsonl                        # 1: the newest has drifted; 2: nothing can be said
python -m monitoring.monitor logs/*.jsonl --labels labels.csv    # and the MCC, where labels have come in

Each finding is also an event, for the panels: in drift.jsonl beside the log.
"""

import argparse
import csv
import json
import sys
import traceback
import uuid
from pathlib import Path

import numpy as np
import pandas as pd

from monitoring.drift import REFERENCE, drift_tests, log_ratio
from monitoring.mcc import bootstrap, mcc
from monitoring.prediction_log import event, hash_of
from monitoring.read_log import read_log

ALPHA = 0.01  # the share of false alarms
FEWEST = 100  # predictions of a window, and labels for an MCC: less than these say nothing
QUERY = """SELECT event.id AS id, "@timestamp" AS time, cola.model.sha256 AS model, cola.tokens, cola.unknown_tokens,
    cola.vocabulary, cola.score, cola.acceptable, cola.sentence, cola.sentence_hash AS hash
    FROM events WHERE event.action = 'judge' AND event.outcome = 'success' ORDER BY time, id"""


def truth(rows: pd.DataFrame, path: Path) -> pd.Series:
    """Labels, or nothing where none has come in, or both; found by event.id, else by the sentence, else by its hash."""
    with path.open(encoding="utf-8-sig", newline="") as file:  # strict: a stray quote would swallow rows without a word
        labels = pd.DataFrame(csv.DictReader(file, strict=True)).astype({"label": int})
    if "sentence" in labels and rows["hash"].notna().any():
        labels["hash"] = labels["sentence"].map(hash_of)
    keys, known = [name for name in ("id", "sentence", "hash") if name in labels], pd.Series(np.nan, rows.index)
    if not keys:
        raise ValueError(f"{path} needs a column id or sentence")
    for key in keys:
        same = labels.groupby(key)["label"]
        found = rows[key].map(same.first()[same.nunique() == 1]).where(known.isna())
        print(f"{path}: {found.count():,} of {len(rows):,} predictions have a label by {key}", file=sys.stderr)
        known = known.fillna(found)
    return known


def quality(window: pd.DataFrame) -> dict | None:
    """The MCC of a window with its interval, where there are labels enough, and of both classes."""
    known = window.dropna(subset="truth")
    if len(known) < FEWEST or known["truth"].nunique() < 2:
        return None
    value, low, high = bootstrap(mcc, known["truth"].to_numpy(int), known["acceptable"].to_numpy(int))
    return {"mcc": value, "low": low, "high": high, "labels": len(known)}


def as_event(window: pd.DataFrame, action: str, **cola: dict) -> dict:
    """A finding on a window as an event of its end, with an id that follows from it: found twice, it is there once."""
    first, last = window.iloc[0], window.iloc[-1]
    made = event(action, "success", {"model": {"sha256": last["model"]}} | cola, last["time"].to_pydatetime())
    name = f"cola:{first['id']}:{last['id']}:{action}:{cola.get('drift', {}).get('test')}"
    made["event"] |= {"id": uuid.uuid5(uuid.NAMESPACE_URL, name).hex, "dataset": "cola.drift"}
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description="Test the predictions of a log for drift.")
    parser.add_argument("log", nargs="+", help="files of events; .gz too")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="default: %(default)s")
    parser.add_argument("--labels", type=Path, help="a CSV of id or sentence, and label, 0 or 1")
    parser.add_argument("--window", type=int, default=500, help="predictions; default: %(default)s")
    args = parser.parse_args()
    reference = pd.read_json(args.reference, lines=True, dtype=False)
    everything = read_log(args.log).execute(QUERY).df()
    rows = everything[everything["model"] == reference["model"][0]].reset_index(drop=True)
    size = min(args.window, len(rows))
    if size < FEWEST:
        parser.exit(2, f"{size} predictions of the reference's model say nothing: {FEWEST} are needed\n")
    if everything["model"].iloc[-1] != rows["model"][0]:
        parser.exit(2, f"the newest predictions are of another model than {args.reference}: give its --reference\n")
    rows["truth"] = truth(rows, args.labels) if args.labels else np.nan
    events, since = [], None  # when the drift began that is still there
    for start in [*range(0, len(rows) - size, size), len(rows) - size]:  # the last has the newest, and shares some
        window = rows[start : start + size]
        findings, time = drift_tests(reference, window), f"{window['time'].iloc[0]:%Y-%m-%d %H:%M}"
        drifted = [finding.test for finding in findings if finding.p <= ALPHA]
        since = (since or time) if drifted else None
        line = f"{time}  {size:>6,}  " + (f"drifted: {', '.join(drifted)}" if drifted else "like the reference")
        for each in findings:
            events.append(as_event(window, "drift-test", drift=each._asdict() | {"drifted": int(each.test in drifted)}))
        if measured := quality(window):
            events.append(as_event(window, "quality", quality=measured))
            line += "  MCC {mcc:.3f} ({low:.3f} to {high:.3f}) of {labels} labels".format(**measured)
        print(line)
    output = Path(args.log[0]).with_name("drift.jsonl")
    earlier = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    kept = {each["event"]["id"]: json.dumps(each) + "\n" for each in earlier + events}
    output.write_text("".join(kept.values()))
    if not drifted:
        return 0
    print(f"DRIFT since {since} UTC")
    for test, distance, p in [finding for finding in findings if finding.test in drifted]:
        print(f"  {test}: distance {distance:.3f}, p {p:.4f}")
    order = np.argsort(-log_ratio(reference, window, drifted), kind="stable")
    shown = window["sentence"].fillna(window["hash"]).fillna(window["id"]).iloc[order].drop_duplicates()
    print("  the strangest:", *shown.head(3), sep="\n    ")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:  # Python's own exit code would be 1, which says drift
        traceback.print_exc()
        sys.exit(2)
