"""The table at the end of a sweep: its runs, the best first."""

import json
from pathlib import Path

import pandas as pd
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


class Leaderboard(Callback):
    """What Hydra calls when a sweep has ended; configs/config.yaml names it."""

    def on_multirun_end(self, config: DictConfig, **_) -> None:
        folder, runs = Path(config.hydra.sweep.dir), []
        for overrides in folder.rglob(".hydra/overrides.yaml"):  # what the run was given
            run = overrides.parent.parent
            settings = OmegaConf.load(run / ".hydra" / "config.yaml")
            scores = json.loads((run / settings.reports / "metrics.json").read_text())["model"]
            row = {"run": str(run.relative_to(folder)), "mcc": scores["mcc"], "accuracy": scores["accuracy"]}
            runs.append(row | {"overrides": " ".join(OmegaConf.load(overrides)), "output": settings.output})
        table = pd.DataFrame(runs).sort_values("mcc", ascending=False)
        table.to_csv(folder / "leaderboard.csv", index=False)
        print(table.drop(columns="output").to_string(index=False, justify="left", float_format="{:.3f}".format))
        print(f"the winner: {folder / table.iloc[0]['run'] / table.iloc[0]['output'] / 'best-checkpoint.ckpt'}")
