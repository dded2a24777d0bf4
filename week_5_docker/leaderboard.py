"""The table at the end of a sweep: each run that came to its end, the best first.

python leaderboard.py multirun/2026-11-28/10-42-16
"""

import json
import sys
from pathlib import Path

import pandas as pd
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


class Leaderboard(Callback):
    """What Hydra calls when a sweep has ended; configs/config.yaml names it."""

    def on_multirun_end(self, config: DictConfig, **_) -> None:
        show(Path(config.hydra.sweep.dir))


def show(folder: Path) -> None:
    runs = []
    for overrides in folder.rglob(".hydra/overrides.yaml"):  # what the run was given
        run = overrides.parent.parent
        settings = OmegaConf.load(run / ".hydra" / "config.yaml")
        metrics = run / settings.reports / "metrics.json"
        if metrics.exists():
            scores = json.loads(metrics.read_text())["model"]
            row = {"run": str(run.relative_to(folder)), "mcc": scores["mcc"], "accuracy": scores["accuracy"]}
            runs.append(row | {"overrides": " ".join(OmegaConf.load(overrides)), "output": settings.output})
    table = pd.DataFrame(runs).sort_values("mcc", ascending=False)
    table.to_csv(folder / "leaderboard.csv", index=False)
    print(table.drop(columns="output").to_string(index=False, justify="left", float_format="{:.3f}".format))
    print(f"the winner: {folder / table.iloc[0]['run'] / table.iloc[0]['output'] / 'best-checkpoint.ckpt'}")


if __name__ == "__main__":
    show(Path(sys.argv[1]))
