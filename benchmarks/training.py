"""Seconds an epoch: batches of like length, padded to their longest, against padding every sentence to a fixed width.

python benchmarks/training.py                                        # the stand-ins
python benchmarks/training.py --source hub --batch-size 128          # CoLA and ELECTRA-small

Both train the same model from the same weights with week 0's code, in turn, so that a busy moment meets both.
"""

import argparse
import logging
import statistics
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding

sys.path.insert(0, str(Path(__file__).parent.parent / "week_0_project_setup"))

from data import DataModule
from model import ColaModel
from sources import encoder_of

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore")


class FixedWidth(DataModule):
    """The same sentences in random batches, each padded to the maximum length."""

    def train_dataloader(self) -> DataLoader:
        width = self.tokenizer.model_max_length
        pad = DataCollatorWithPadding(self.tokenizer, padding="max_length", max_length=width)
        return DataLoader(self.tokens["train"], self.batch_size, shuffle=True, collate_fn=pad)


def seconds_an_epoch(data: DataModule, encoder: str) -> float:
    """Train one epoch, without validation, from the start."""
    pl.seed_everything(0, verbose=False)
    model = ColaModel.from_pretrained(encoder, tokenizer=data.tokenizer.backend_tokenizer.to_str(), learning_rate=1e-4)
    timer = Timer()
    quiet = dict.fromkeys(
        ["logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar", "limit_val_batches"], False
    )
    pl.Trainer(max_epochs=1, gradient_clip_val=1.0, callbacks=[timer], **quiet).fit(model, datamodule=data)
    return timer.time_elapsed("train")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--source", default="bundled", help="bundled, hub, or a folder")
    parser.add_argument("--model", help="an encoder: its name on the Hub, or a folder")
    parser.add_argument("--batch-size", type=int, default=32, help="sentences")
    parser.add_argument("--width", type=int, default=128, help="tokens of the fixed width")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    encoder = args.model or encoder_of(args.source)
    ways = {"like lengths": DataModule, f"padded to {args.width}": FixedWidth}
    data = {name: way(args.source, encoder, args.batch_size, args.width) for name, way in ways.items()}
    seconds = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name in ways:
            seconds[name].append(seconds_an_epoch(data[name], encoder))
    for name, values in seconds.items():
        print(f"{name:<16}{statistics.median(values):8.1f} s an epoch (median of {args.rounds})")
