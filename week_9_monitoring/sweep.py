"""The table at the end of a sweep (`python train.py -m ...`): every run, the best first."""

import csv
import json
import sys
from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


class Leaderboard(Callback):
    """A Hydra callback that reads what the runs of a sweep left in their folders, wherever they ran."""

    def on_multirun_end(self, config: DictConfig, **_) -> None:
        folder = Path(config.hydra.sweep.dir)
        runs = read_runs(folder)
        failed = len([*folder.glob("*/.hydra")]) - len(runs)
        if failed:
            print(f"{failed} of the runs in {folder} did not come to their end: see their messages", file=sys.stderr)
        if not runs:
            sys.exit(1)
        with (folder / "leaderboard.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(runs[0]))
            writer.writeheader()
            writer.writerows(runs)
        print(table(runs))
        output = OmegaConf.load(folder / runs[0]["run"] / ".hydra" / "config.yaml").output
        print(f"the winner: {folder / runs[0]['run'] / output / 'best-checkpoint.ckpt'}")
        if failed:
            sys.exit(1)


def read_runs(folder: Path) -> list[dict]:
    """One row a finished run, the highest MCC first: `run`, `mcc`, `accuracy`, `overrides`."""
    runs = []
    for settings in sorted(folder.glob("*/.hydra/config.yaml")):
        job = settings.parent.parent
        path = job / OmegaConf.load(settings).reports / "metrics.json"
        if not path.is_file():
            continue
        scores = json.loads(path.read_text(encoding="utf-8"))["model"]
        overrides = OmegaConf.load(job / ".hydra" / "overrides.yaml")
        runs.append({"run": job.name, "mcc": scores["mcc"], "accuracy": scores["accuracy"],
                     "overrides": " ".join(overrides)})  # fmt: skip
    return sorted(runs, key=lambda run: -run["mcc"])


def table(runs: list[dict]) -> str:
    """The runs as lines of text."""
    lines = ["run     MCC  accuracy  overrides"]
    lines += ["{run:>3}{mcc:8.3f}{accuracy:10.3f}  {overrides}".format(**run) for run in runs]
    return "\n".join(lines)
