"""Is the model still asked what it was made for? Tests the newest predictions of a log against the reference.

    python monitor.py                                     # logs/, models/reference.json
    python monitor.py logs --labels labels.csv            # and, where labels have come in, the MCC over time

The predictions of the reference's model are cut into windows of equal number, in the order of their times. Exit code 0:
the newest window looks like the reference. 1: it has drifted; what has, since when, and the strangest examples are
said. 2: nothing can be said, and why. Each finding is also an event, for the panels, in drift.jsonl beside the log.

labels.csv has a column `label`, 0 or 1, and a column `id` (event.id) or `sentence`; the latter needs logs with
sentences, or with hashes and their key in COLA_HASH_KEY.
"""

import argparse
import json
import os
import re
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
from duckdb import DuckDBPyConnection

from drift import COLUMNS, REFERENCE, compare, features, load_reference, strangeness
from errors import InputError, friendly_errors
from events import event, how_to_show
from logbook import LOGS, read_log
from quality import mcc_range

FEWEST = 100  # predictions: less than these say nothing
OUTPUT = "drift.jsonl"
TIME = re.compile(rb'"@timestamp": "([^"]+)"')


def predictions(database: DuckDBPyConnection, model: str, size: int, windows: int, oddities: list[str]) -> pd.DataFrame:
    """The newest windows of predictions of a model, oldest first, with the number of its window in each row.

    Raises:
        InputError: there are too few, or they come from another model.
    """
    counted = database.execute("""SELECT cola.model.sha256, count(*) AS n, max("@timestamp") AS newest FROM events
        WHERE event.action = 'judge' AND cola.score IS NOT NULL GROUP BY ALL ORDER BY newest DESC""").fetchall()
    if not counted:
        raise InputError("no predictions in the log: there is nothing to test")
    if counted[0][0] != model:
        raise InputError(
            f"the newest predictions come from model {counted[0][0][:8]}, the reference was made with {model[:8]}: "
            'run "python reference.py", or serve the model of the reference'
        )
    if others := sum(number for _, number, _ in counted[1:]):
        oddities.append(f"{others:,} prediction{'s' * (others != 1)} of other models: not tested")
    total = counted[0][1]
    if total < FEWEST:
        raise InputError(f"only {total} predictions of this model: wait for {FEWEST}")
    size = min(size, total)
    if total % size:
        oddities.append(f"the newest {total % size} predictions do not fill a window of {size}: not tested yet")
    rows = database.execute(
        """SELECT event.id AS id, "@timestamp" AS time, cola.tokens AS tokens, cola.unknown_tokens AS unknown_tokens,
           cola.vocabulary AS vocabulary, cola.score AS score, cola.acceptable AS acceptable,
           cola.sentence AS sentence, cola.sentence_hash AS hash FROM events
           WHERE event.action = 'judge' AND cola.score IS NOT NULL AND cola.model.sha256 = $model
           ORDER BY time, id LIMIT $size OFFSET $start""",
        {"model": model, "size": size * min(windows, total // size), "start": max(0, total // size - windows) * size},
    ).df()
    return rows.assign(window=np.arange(len(rows)) // size)


def window_features(rows: pd.DataFrame) -> dict:
    """What the drift tests look at."""
    return features(*(np.stack(rows[column]) for column in COLUMNS))


def add_labels(rows: pd.DataFrame, path: Path, oddities: list[str]) -> pd.DataFrame:
    """The rows with a column `truth`: 0, 1, or nothing where no label has come in.

    Raises:
        InputError: the file is missing, is not as it should be, or fits none of the predictions.
    """
    try:
        labels = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path} not found: a CSV with the columns id (or sentence) and label") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as CSV: {str(error).strip()}") from None
    key = next((name for name in ("id", "sentence") if name in labels), None)
    if not key or "label" not in labels or not labels["label"].isin(["0", "1"]).all():
        raise InputError(f"{path} needs a column id or sentence, and a column label of 0 and 1")
    if key == "sentence" and rows["sentence"].isna().all():
        if rows["hash"].isna().all():
            raise InputError(f"the log holds no sentences (COLA_PRIVACY=none): label by id in {path}")
        show = how_to_show("hashed", os.environ.get("COLA_HASH_KEY", ""))
        labels["hash"], key = labels["sentence"].map(lambda sentence: show(sentence)["sentence_hash"]), "hash"
    truth = labels.groupby(key)["label"].agg(lambda same: int(same.iloc[0]) if same.nunique() == 1 else None)
    if at_odds := int(truth.isna().sum()):
        oddities.append(f"{path}: {at_odds} labelled both 0 and 1: left out")
    if lost := int((~truth.index.isin(rows[key])).sum()):
        oddities.append(f"{path}: {lost} of {len(truth)} belong to no prediction of these windows")
    if lost == len(truth):
        raise InputError(f"{path}: none of its {len(truth)} labels belongs to a prediction of these windows")
    return rows.assign(truth=rows[key].map(truth))


def examine(reference: dict, model: str, rows: pd.DataFrame, alpha: float) -> list[dict]:
    """What each window is like, oldest first; the strangest predictions are given where it has drifted."""
    report = []
    for _, window in rows.groupby("window"):
        seen = window_features(window)
        findings = compare(reference, seen)
        entry = {
            "from": window["time"].iloc[0].isoformat(timespec="milliseconds") + "Z",
            "to": window["time"].iloc[-1].isoformat(timespec="milliseconds") + "Z",
            "ids": [window["id"].iloc[0], window["id"].iloc[-1]],
            "model": model,
            "predictions": len(window),
            "tests": {f.test: {"distance": f.distance, "p": f.p, "drifted": int(f.p <= alpha)} for f in findings},
            "drifted": [f.test for f in findings if f.p <= alpha],
        }
        if entry["drifted"]:
            worst = window.iloc[np.argsort(-strangeness(reference, seen, entry["drifted"]), kind="stable")]
            shown = worst["sentence"].fillna(worst["hash"]).fillna(worst["id"])
            entry["examples"] = shown.drop_duplicates().head(3).tolist()
        known = window.dropna(subset="truth") if "truth" in window else window[:0]
        if len(known):
            value, low, high = mcc_range(known["truth"].to_numpy(int), known["acceptable"].to_numpy(int))
            entry["quality"] = {"mcc": value, "low": low, "high": high, "labels": len(known)}
            entry["quality"] |= {"classes": int(known["truth"].nunique())}
        report.append(entry)
    return report


def write_events(report: list[dict], path: Path) -> None:
    """The findings as events, after those in the file that are older; their ids are the same in each run.

    Raises:
        InputError: the file cannot be written.
    """

    def add(window: dict, action: str, name: str, **fields) -> None:
        parts = ("cola", window["model"], window["from"], window["to"], *window["ids"], name)  # a batch shares its time
        identity = uuid.uuid5(uuid.NAMESPACE_URL, ":".join(parts)).hex
        made = event(action, "success", {"sha256": window["model"]}, cola=fields,
                     event={"id": identity, "kind": "metric", "dataset": "cola.drift"})  # fmt: skip
        lines.append(json.dumps(made | {"@timestamp": window["to"]}).encode())

    lines = []
    for window in report:
        for test, finding in window["tests"].items():
            add(window, "drift-test", test, drift={"test": test} | finding)
        if window.get("quality", {}).get("classes") == 2:
            quality = {name: window["quality"][name] for name in ("mcc", "low", "high", "labels")}
            add(window, "quality", "quality", quality=quality)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        earlier = path.read_bytes().splitlines() if path.is_file() else []
        since = report[0]["from"].encode()
        kept = [each for each in earlier if (time := TIME.search(each)) and time[1] < since]
        text = b"".join(each + b"\n" for each in (*kept, *lines))
        if path.exists() and not path.is_file():  # /dev/null must not be replaced
            path.write_bytes(text)
        else:
            part = path.resolve().with_suffix(".part")  # a reader never sees half a file
            part.write_bytes(text)
            os.replace(part, path.resolve())
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another --output") from None


def show(report: list[dict]) -> None:
    """Print a line for each window, and what has drifted since when."""
    for window in report:
        parts = [window["from"][:16].replace("T", " "), f"{window['predictions']:>6,}"]
        parts.append("drifted: " + ", ".join(window["drifted"]) if window["drifted"] else "like the reference")
        if quality := window.get("quality"):
            parts.append(
                "MCC {mcc:.3f} ({low:.3f} to {high:.3f}) of {labels} labels".format(**quality)
                if quality["classes"] == 2
                else f"{quality['labels']} labels of one class only: no MCC"
            )
        print("  ".join(parts))
    if not report[-1]["drifted"]:
        return
    since = next((i + 1 for i in range(len(report) - 1, -1, -1) if not report[i]["drifted"]), 0)
    print(f"DRIFT since {report[since]['from'][:16].replace('T', ' ')}")
    for test in report[-1]["drifted"]:
        print("  {test}: distance {distance:.3f}, p {p:.4f}".format(test=test, **report[-1]["tests"][test]))
    print("  the strangest:")
    print("".join(f"    {example}\n" for example in report[-1]["examples"]), end="")


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Test the newest predictions for drift.")
    parser.add_argument("log", nargs="*", type=Path, default=[LOGS], help="files or folders; default: logs")
    parser.add_argument("--reference", type=Path, default=REFERENCE, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="what came in later: CSV of id or sentence, label")
    parser.add_argument("--window", type=int, default=500, metavar="N", help="predictions; default: %(default)s")
    parser.add_argument("--windows", type=int, default=40, metavar="N", help="how many; default: %(default)s")
    parser.add_argument("--alpha", type=float, default=0.01, metavar="P", help="false alarms; default: %(default)s")
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"events; default: {OUTPUT} beside the first log")
    arguments = parser.parse_args()
    if arguments.window < FEWEST or arguments.windows < 1 or not 0.0025 <= arguments.alpha < 1:
        raise InputError(f"--window must be {FEWEST} or more, --windows 1 or more, and --alpha from 0.0025 to 1")
    reference, model = load_reference(arguments.reference)
    database, oddities = read_log(arguments.log)
    try:
        rows = predictions(database, model, arguments.window, arguments.windows, oddities)
        if arguments.labels:
            rows = add_labels(rows, arguments.labels, oddities)
    finally:  # they may say why there is nothing to test
        for oddity in oddities:
            print(f"note: {oddity}", file=sys.stderr)
    report = examine(reference, model, rows, arguments.alpha)
    log = arguments.log[0]
    write_events(report, arguments.output or (log if log.is_dir() else log.parent) / OUTPUT)
    show(report)
    sys.exit(1 if report[-1]["drifted"] else 0)


if __name__ == "__main__":
    main()
