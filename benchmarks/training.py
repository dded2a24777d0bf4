"""Seconds an epoch: batches by length, padded to their longest, against padding every sentence to a fixed width.

    python benchmarks/training.py --data DIR --model DIR [--width 128] [--rounds 3]

Both train the same model from the same weights with week 0's code, one epoch at a time and in turn, so that a machine
whose speed drifts is fair to both. The fixed width is what tokenizers give with `padding="max_length"`. Needs a folder
with CoLA's train.csv and validation.csv, and a folder with an encoder, both as `train.py` takes them.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import pytorch_lightning as pl
from torch.nn.functional import pad
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "week_0_project_setup"))

from data import DataModule, collate
from errors import friendly_errors
from model import ColaModel
from sources import resolve
from train import positive


class FixedWidth(DataModule):
    """The same sentences in random batches, each padded to `max_length` tokens."""

    def __init__(self, sources, batch_size: int, max_length: int):
        super().__init__(sources, batch_size, max_length)
        self.width = max_length

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows["train"], self.batch_size, shuffle=True, collate_fn=self.collate)

    def collate(self, rows) -> dict:
        batch = collate(rows, pad_id=0)
        missing = self.width - batch["input_ids"].shape[1]
        return batch | {name: pad(batch[name], (0, missing)) for name in ("input_ids", "attention_mask")}


def seconds_an_epoch(data: DataModule, sources) -> float:
    """Train one epoch, without validation, from the start."""
    pl.seed_everything(0, verbose=False)
    model = ColaModel.from_pretrained(sources.model, data.tokenizer.to_str(), learning_rate=1e-4)
    trainer = pl.Trainer(
        max_epochs=1,
        limit_val_batches=0,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    started = time.perf_counter()
    trainer.fit(model, data.train_dataloader())
    return time.perf_counter() - started


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--batch-size", type=positive(int), default=128)
    parser.add_argument("--width", type=positive(int), default=128, help="tokens of the fixed width")
    parser.add_argument("--rounds", type=positive(int), default=3)
    arguments = parser.parse_args()
    sources = resolve(data=arguments.data, model=arguments.model)
    ways = {
        "by length": DataModule(sources, arguments.batch_size, arguments.width),
        f"padded to {arguments.width}": FixedWidth(sources, arguments.batch_size, arguments.width),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, arguments.rounds + 1):
        for name, data in ways.items():
            seconds[name].append(seconds_an_epoch(data, sources))
            print(f"round {number}/{arguments.rounds}  {name}: {seconds[name][-1]:.1f} s", file=sys.stderr)
    print(f"{'seconds an epoch':<20}{'minimum':>10}{'median':>10}{'maximum':>10}")
    for name, values in seconds.items():
        print(f"{name:<20}{min(values):10.1f}{statistics.median(values):10.1f}{max(values):10.1f}")
    ratios = [slow / fast for fast, slow in zip(*seconds.values(), strict=True)]
    print(f"batches by length are {statistics.median(ratios):.1f} times faster (median of {len(ratios)} rounds)")


if __name__ == "__main__":
    main()
