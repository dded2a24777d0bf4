"""What happens around the training loop: safe checkpoints, a line of numbers an epoch, and Lightning's hints unsaid."""

import logging
import math
import os
import sys
import time
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.io import TorchCheckpointIO

from errors import InputError

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
for hint in ("Checkpoint directory .* exists", ".* does not have many workers", ".*LeafSpec"):  # all as meant here
    warnings.filterwarnings("ignore", hint)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and renames, so that a full disk or a kill leaves the old one whole.

    Lightning (2.6) writes to the system's temporary folder first and, where that is another disk, copies from there.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options=None) -> None:
        part = f"{path}.part"
        try:
            with open(part, "wb") as file:
                torch.save(checkpoint, file)
                os.fsync(file.fileno())
            os.replace(part, path)
        except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
            Path(part).unlink(missing_ok=True)
            if isinstance(error.__context__, KeyboardInterrupt):  # and an interrupted one as well
                raise error.__context__ from None
            raise InputError(f"could not write {path} ({error}): free some space; the old file is untouched") from error


class EpochReport(Callback):
    """One line on stderr an epoch; all its numbers in `history`, which an interrupted run takes up again.

    A training that has gone astray is stopped.
    """

    SHOWN = ("train/loss", "val/loss", "val/accuracy", "val/mcc")

    def __init__(self):
        self.history: list[dict[str, float]] = []

    def state_dict(self) -> dict:
        return {"history": self.history}

    def load_state_dict(self, state: dict) -> None:
        self.history = state["history"]

    def on_train_epoch_start(self, trainer: pl.Trainer, _) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, _) -> None:
        if not math.isfinite(loss := float(trainer.callback_metrics["train/loss"])):
            raise InputError(f"train/loss is {loss} after epoch {trainer.current_epoch + 1}: lower the learning rate")
        metrics = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        seconds = time.perf_counter() - self.started
        self.history.append({"epoch": trainer.current_epoch + 1} | metrics | {"seconds": seconds})
        line = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        line += "".join(f"  {name} {metrics[name]:.3f}" for name in self.SHOWN) + f"  {seconds:.1f} s"
        bar = trainer.progress_bar_callback
        bar.print(line) if bar else print(line, file=sys.stderr)
