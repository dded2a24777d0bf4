"""CoLA for training: load it, cut it into tokens once, and batch it by length.

The corpus is CoLA, https://nyu-mll.github.io/CoLA (Warstadt et al. 2019): English sentences from the linguistics
literature, each labelled 1 (acceptable) or 0 (unacceptable) by its authors.
"""

import csv
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, disable_progress_bars, load_dataset
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, DataCollatorWithPadding

from sources import BUNDLED, HUB_DATASET, LABELS, REVISIONS, place_of

AS_PUBLISHED = {"train": "in_domain_train.tsv", "validation": "in_domain_dev.tsv"}  # by its authors
TSV = {"sep": "\t", "quoting": csv.QUOTE_NONE, "names": ["source", "label", "star", "sentence"]}
TEXT = Features({"sentence": Value("string"), "label": Value("string")})
POOL = 50  # batches whose sentences are shuffled together before they are sorted by length

disable_progress_bars()  # of `map`, which takes a second


def load_corpus(source: str) -> DatasetDict:
    """The splits `train` and `validation`, with the columns `sentence` and `label`."""
    if source == "hub":
        return load_dataset(HUB_DATASET, "cola", revision=REVISIONS[HUB_DATASET])
    folder = BUNDLED if source == "bundled" else Path(source)
    return DatasetDict({split: load_file(folder, split) for split in AS_PUBLISHED})


def load_file(folder: Path, split: str) -> Dataset:
    """One split from a folder: `train.csv` and `validation.csv`, or CoLA's files as its authors publish them."""
    file, layout = folder / AS_PUBLISHED[split], TSV
    if not file.exists():
        file, layout = folder / f"{split}.csv", {}
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader(lines), [])
        if not {*TEXT} <= {*header}:
            sys.exit(f"{file} begins with {header}: it needs the columns sentence and label, separated by commas")
    columns = {"usecols": [*TEXT], "features": TEXT, "keep_default_na": False}  # "NA" is a sentence, not a gap
    rows = load_dataset("csv", data_files=str(file), split="train", **columns, **layout)  # one file is always "train"
    for number, (sentence, label) in enumerate(zip(rows["sentence"], rows["label"], strict=True), start=1):
        if not sentence.strip() or "\n" in sentence:  # of several lines: a quote that nothing closes swallowed rows
            sys.exit(f"{file}, row {number}: {sentence!r} is not one sentence; is there a quote without its twin?")
        if label not in ("0", "1"):
            sys.exit(f"{file}, row {number}: {label!r} is no label; it is 0 or 1, for {' or '.join(LABELS)}")
    return rows.cast_column("label", Value("int64")).cast_column("label", ClassLabel(names=LABELS))


class DataModule(pl.LightningDataModule):
    """The corpus as batches of `input_ids`, `attention_mask` (B, T) and `labels` (B,)."""

    def __init__(self, source: str, encoder: str, batch_size: int = 32, max_length: int = 128, seed: int = 0):
        super().__init__()
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.tokenizer = AutoTokenizer.from_pretrained(**place_of(encoder), model_max_length=max_length)
        self.tokenizer.backend_tokenizer.enable_truncation(max_length)  # this part goes into the checkpoint

    def prepare_data(self) -> None:
        """Once on each machine: download."""
        load_corpus(self.source)

    def setup(self, stage: str | None = None) -> None:
        """In each process: load, and look up the tokens."""
        corpus = load_corpus(self.source)
        tokens = corpus.map(self.tokenizer, batched=True, input_columns="sentence", fn_kwargs={"truncation": True})
        self.tokens = tokens.select_columns(["input_ids", "attention_mask", "label"])  # in a batch: `labels`

    def train_dataloader(self) -> DataLoader:
        """Random batches of sentences of like length: another order each epoch, the same for the same seed."""
        lengths = [len(ids) for ids in self.tokens["train"]["input_ids"]]
        random = torch.Generator().manual_seed(1_000 * self.seed + self.trainer.current_epoch)
        return self.loader("train", like_lengths(lengths, self.batch_size, random))

    def val_dataloader(self) -> DataLoader:
        return self.loader("validation")

    def loader(self, split: str, order: list[int] | None = None) -> DataLoader:
        pad = DataCollatorWithPadding(self.tokenizer)  # to the longest sentence of the batch: more is wasted work
        return DataLoader(self.tokens[split], self.batch_size, sampler=order, collate_fn=pad)


def like_lengths(lengths: list[int], batch_size: int, random: torch.Generator) -> list[int]:
    """An order of the sentences that fills each batch with like lengths; the batches themselves come at random."""
    pools = torch.randperm(len(lengths), generator=random).split(POOL * batch_size)
    order = torch.tensor([i for pool in pools for i in sorted(pool.tolist(), key=lengths.__getitem__)])
    *batches, last = order.split(batch_size)  # the last may be smaller, and stays the last
    return torch.cat([*(batches[i] for i in torch.randperm(len(batches), generator=random)), last]).tolist()
