"""CoLA for training: reading and checking it, tokenizing it once, and batching it by length.

    data = DataModule(resolve("bundled"))

The corpus is CoLA, https://nyu-mll.github.io/CoLA (Warstadt et al. 2019): English sentences from the linguistics
literature, each labelled 1 (acceptable) or 0 (unacceptable) by its authors.
"""

from pathlib import Path

import pandas as pd
import pytorch_lightning as pl
import torch
from huggingface_hub import hf_hub_download
from tokenizers import Tokenizer
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler
from transformers import AutoTokenizer

from errors import InputError
from sources import HUB_DATASET, HUB_FILES, REVISIONS, Sources, downloading

SPLITS = tuple(HUB_FILES)
POOL = 50  # batches that are shuffled together before they are sorted by length


def load_corpus(place: str | Path) -> dict[str, pd.DataFrame]:
    """Read the train and validation split, columns `sentence` (str) and `label` (0 or 1).

    Args:
        place: the Hub's data set name, or a folder with `train.csv` and `validation.csv`.

    Raises:
        InputError: a file is missing, empty, not UTF-8 or not CSV, a column is missing, a label is not 0 or 1,
            a sentence is blank, or the download failed. The message names file and row.
    """
    if isinstance(place, Path):
        return {split: _read_csv(place / f"{split}.csv") for split in SPLITS}
    revision = REVISIONS[HUB_DATASET]
    with downloading(HUB_DATASET):
        files = {split: hf_hub_download(HUB_DATASET, path, repo_type="dataset", revision=revision)
                 for split, path in HUB_FILES.items()}  # fmt: skip
    return {split: pd.read_parquet(path, columns=["sentence", "label"]) for split, path in files.items()}


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} not found: a data folder holds train.csv and validation.csv") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{path} is empty: it needs the header sentence,label and a row per sentence") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except (pd.errors.ParserError, OSError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from None
    if not isinstance(rows.index, pd.RangeIndex):  # pandas' answer to rows that are longer than the header
        raise InputError(f"{path} has rows of more fields than its header: put sentences with commas in double quotes")
    for column in ("sentence", "label"):
        if column not in rows:
            raise InputError(f"{path} has no column {column!r}: found {', '.join(map(repr, rows.columns))}")
    if rows.empty:
        raise InputError(f"{path} has a header but no rows")
    for row, (sentence, label) in enumerate(zip(rows["sentence"], rows["label"], strict=True), start=1):
        if label not in ("0", "1"):
            raise InputError(f"{path}, row {row}: label {label!r} is neither 0 (unacceptable) nor 1 (acceptable)")
        if not sentence.strip():
            raise InputError(f"{path}, row {row}: the sentence is blank")
    return rows[["sentence"]].assign(label=rows["label"].astype(int))


def load_tokenizer(place: str | Path, max_length: int) -> Tokenizer:
    """The tokenizer of a pretrained encoder, set to cut at `max_length` tokens.

    Everything that a prediction needs to know about text is in this one object, and so in its JSON.

    Raises:
        InputError: there is no tokenizer at `place`, or none that has a JSON form, or `max_length` is below 3.
    """
    if max_length < 3:
        raise InputError(f"max_length {max_length} leaves no room for a word between the two special tokens")
    try:
        with downloading(place):
            tokenizer = AutoTokenizer.from_pretrained(place, revision=REVISIONS.get(str(place), "main"))
        tokenizer = tokenizer.backend_tokenizer
    except (OSError, ValueError, AttributeError, KeyError) as error:
        raise InputError(f"no usable tokenizer in {place}: {error}") from error
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    return tokenizer


def collate(rows: list[tuple[torch.Tensor, int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Pad token ids to the longest sentence of the batch: padding further costs time and changes nothing."""
    input_ids, labels = zip(*rows, strict=True)
    ids = pad_sequence(list(input_ids), batch_first=True, padding_value=pad_id)  # (B, T)
    lengths = torch.tensor([len(i) for i in input_ids])  # (B,)
    return {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),  # (B, T)
        "labels": torch.tensor(labels),  # (B,)
    }


class LengthBatchSampler(BatchSampler):
    """Batches of sentences of like length, in an order that differs from epoch to epoch.

    Takes `POOL` batches' worth of indices from `sampler`, sorts them by length and cuts them into batches. Random
    batches of CoLA are twice as wide as its mean sentence; these are hardly wider than their sentences.

    Args:
        lengths: tokens of each sentence.
        shuffle: draw the order of the batches from torch's global random state; else keep them as they come.
    """

    def __init__(self, sampler, batch_size: int, drop_last: bool, lengths: list[int], shuffle: bool):
        super().__init__(sampler, batch_size, drop_last)
        self.lengths, self.shuffle = lengths, shuffle

    def __iter__(self):
        indices = list(self.sampler)
        pool = POOL * self.batch_size
        for start in range(0, len(indices), pool):
            chunk = sorted(indices[start : start + pool], key=self.lengths.__getitem__)
            batches = [chunk[i : i + self.batch_size] for i in range(0, len(chunk), self.batch_size)]
            for i in torch.randperm(len(batches)).tolist() if self.shuffle else range(len(batches)):
                yield batches[i]


class DataModule(pl.LightningDataModule):
    """The corpus as batches of `input_ids`, `attention_mask` (B, T) and `labels` (B,).

    Args:
        sources: where the sentences and the tokenizer come from.
        batch_size: sentences of one optimizer step.
        max_length: tokens; longer sentences are cut there.
    """

    def __init__(self, sources: Sources, batch_size: int = 32, max_length: int = 128):
        super().__init__()
        self.batch_size = batch_size
        self.tokenizer = load_tokenizer(sources.model, max_length)
        self.corpus = load_corpus(sources.data)
        self.rows = {split: self._tokenize(rows) for split, rows in self.corpus.items()}

    def _tokenize(self, rows: pd.DataFrame) -> list[tuple[torch.Tensor, int]]:
        encodings = self.tokenizer.encode_batch(rows["sentence"].tolist())
        return [(torch.tensor(e.ids), label) for e, label in zip(encodings, rows["label"], strict=True)]

    def train_dataloader(self) -> DataLoader:
        return self._dataloader("train", RandomSampler(self.rows["train"]))

    def val_dataloader(self) -> DataLoader:
        return self._dataloader("validation", SequentialSampler(self.rows["validation"]))

    def _dataloader(self, split: str, sampler) -> DataLoader:
        rows = self.rows[split]
        pad_id = self.tokenizer.token_to_id("[PAD]") or 0
        shuffle = isinstance(sampler, RandomSampler)
        lengths = [len(ids) for ids, _ in rows]
        return DataLoader(
            rows,
            batch_sampler=LengthBatchSampler(sampler, self.batch_size, False, lengths, shuffle),
            collate_fn=lambda batch: collate(batch, pad_id),
            generator=torch.Generator(),  # its own, so that making a loader leaves the model's random state alone
        )
