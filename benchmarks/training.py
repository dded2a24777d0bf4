"""Seconds an epoch: the course's batches of like lengths, against padding to 128, and transformers' Trainer.

All train the stand-in's architecture from the same weights, in turn, alone and beside a process that keeps a core
busy. The course trains as its train.py does, on one core; the others as they come, on all. The Trainer groups by
length. Of batches padded to 128, which all take the same time, 1 in 10 is trained.
"""

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager, nullcontext

import pytorch_lightning as pl
import torch
from course import HERE, QUIET, RIVALS, WEEK, row, run
from pytorch_lightning.callbacks import Timer
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding

from data import DataModule
from model import ColaModel

WIDTH = 128  # tokens
OFF = ("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar", "limit_val_batches")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")


class FixedWidth(DataModule):
    """The same sentences in random batches, each padded to the maximum length."""

    def train_dataloader(self) -> DataLoader:
        pad = DataCollatorWithPadding(self.tokenizer, padding="max_length", max_length=WIDTH)
        return DataLoader(self.tokens["train"], self.batch_size, shuffle=True, collate_fn=pad)


def new_model(data: DataModule) -> ColaModel:
    pl.seed_everything(0, verbose=False)
    return ColaModel.from_pretrained("bundled", tokenizer=data.tokenizer.backend_tokenizer.to_str(), learning_rate=1e-4)


def lightning(data: DataModule, share: float) -> float:
    timer = Timer()
    quiet = dict.fromkeys(OFF, False)
    trainer = pl.Trainer(
        max_epochs=1, limit_train_batches=share, accelerator="cpu", gradient_clip_val=1.0, callbacks=[timer], **quiet
    )
    trainer.fit(new_model(data), datamodule=data)
    return timer.time_elapsed("train") / share


def trainer(data: DataModule, share: float) -> float:
    """transformers' own loop, in the rivals' environment."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        rows = data.tokens["train"]
        json.dump({"rows": rows.to_list()[: int(share * len(rows))], "batch_size": data.batch_size}, file)
        file.flush()
        command = [RIVALS / "bin/python", HERE / "trainer.py", file.name, WEEK / "bundled"]
        said = subprocess.check_output(command, env=QUIET, stderr=subprocess.DEVNULL, text=True)
    return float(said.split()[-1]) / share


WAYS = {  # how, with which data, share of an epoch, cores
    "the course": (lightning, DataModule, 1.0, 1),  # to Lightning, 1 would be one batch
    "padded to 128": (lightning, FixedWidth, 0.1, torch.get_num_threads()),
    "transformers' Trainer": (trainer, DataModule, 1, torch.get_num_threads()),
}


@contextmanager
def busy():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield
        process.kill()


def measure(args: argparse.Namespace) -> list[dict]:
    rows = []
    for batch_size in (32, 128):
        data = {name: way[1](str(args.cola or "bundled"), "bundled", batch_size, WIDTH) for name, way in WAYS.items()}
        for module in data.values():
            module.setup()
        for beside, load in (("", nullcontext), (", beside a busy process", busy)):
            seconds = {name: [] for name in WAYS}
            for _ in range(1 if args.quick else 2):
                for name, (train, _, share, cores) in WAYS.items():
                    torch.set_num_threads(cores)
                    with load():
                        seconds[name].append(train(data[name], share / 5 if args.quick else share))
            medians = {name: statistics.median(values) for name, values in seconds.items()}
            rows.append(row(f"an epoch of training, batches of {batch_size}{beside}", "s", medians))
    return rows


if __name__ == "__main__":
    run(measure, __doc__)
