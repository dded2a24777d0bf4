"""What changed in the metrics since a commit, as a table in Markdown: `dvc metrics diff`, for people.

python report_metrics.py            # against the last commit
python report_metrics.py HEAD^ >> "$GITHUB_STEP_SUMMARY"
"""

import argparse
import json
import subprocess
import sys

from errors import InputError, friendly_errors

FIRST = "model.mcc"  # the metric of CoLA comes before all others
IN_SIGHT = ("model.", "mcc.", "size_bytes.", "served")  # the other rows can be unfolded


def run(*command: str) -> str:
    """Run a command and return what it printed.

    Raises:
        InputError: it ended with an error; the message is the command's own.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{' '.join(command[-4:])}: {done.stderr.strip()}")
    return done.stdout


def metrics_diff(base: str) -> dict[str, dict[str, dict]]:
    """For each file and each metric of it `{"old": ..., "new": ...}`; a side that does not have it has None."""
    return json.loads(run(sys.executable, "-m", "dvc", "metrics", "diff", "--all", "--json", base) or "{}")


def exists(revision: str) -> bool:
    """Whether git knows a commit by this name; the first commit of all has none before it."""
    command = ["git", "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}"]
    return subprocess.run(command, capture_output=True).returncode == 0


def shown(value: float | str | None, signed: bool = False) -> str:
    """A value in a cell: counts whole, all else with 4 digits; a `|` would end the cell."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value.replace("|", "\\|")
    sign = "+" if signed else ""
    return f"{value:{sign},}" if isinstance(value, int) else f"{value:{sign}.4f}"


def change(old: float | str | None, new: float | str | None) -> str:
    if new is None:
        return "gone"
    if isinstance(old, str | None) or isinstance(new, str):
        return ""
    return shown(new - old, signed=True)


def markdown(rows: list[tuple[str, tuple]], base: str) -> list[str]:
    """The lines of a table; none for no rows."""
    head = [f"| metric | `{base}` | now | change |", "|---|--:|--:|--:|"] if rows else []
    return head + [f"| {name} | {shown(old)} | {shown(new)} | {change(old, new)} |" for name, (old, new) in rows]


def table(diff: dict[str, dict[str, dict]], base: str) -> str:
    """The report: one row for each metric that differs, the model's MCC first; what only `base` has is gone.

    Raises:
        InputError: there are no metrics at all.
    """
    values = {
        (metric != FIRST, file, metric): (value.get("old"), value.get("new"))
        for file, metrics in diff.items()
        for metric, value in metrics.items()
    }
    if all(new is None for _, new in values.values()):
        raise InputError('there are no metrics: run "dvc repro" first')
    rows = [(name, pair) for (_, _, name), pair in sorted(values.items()) if pair[0] != pair[1]]
    lines = [f"### Metrics, against `{base}`", ""]
    if all(old is None for old, _ in values.values()):
        lines += [f"`{base}` has no metrics to compare with: commit what `dvc repro` writes, and the next run has.", ""]
    elif not rows:
        return "\n".join([*lines, f"All {len(values)} are the same."])
    lines += markdown([row for row in rows if row[0].startswith(IN_SIGHT)], base)
    if folded := markdown([row for row in rows if not row[0].startswith(IN_SIGHT)], base):
        lines += ["", f"<details><summary>{len(folded) - 2} more</summary>", "", *folded, "", "</details>"]
    if same := len(values) - len(rows):
        lines += ["", f"{same} others are the same."]
    for file in sorted({file for (_, file, _), (_, new) in values.items() if new is None}):
        lines += ["", f"Gone from `{file}`: if not on purpose, run `dvc repro`."]
    return "\n".join(lines)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", nargs="?", default="HEAD", help="a commit, tag or branch (default: %(default)s)")
    base = parser.parse_args().base
    if exists(base):
        print(table(metrics_diff(base), base))
    elif base.endswith("^") and exists("HEAD"):
        print(table(metrics_diff("HEAD"), "HEAD"))
    else:
        raise InputError(f"git knows no commit {base}: is it spelled right, and is something committed? "
                         "In a workflow: more fetch-depth")  # fmt: skip


if __name__ == "__main__":
    main()
