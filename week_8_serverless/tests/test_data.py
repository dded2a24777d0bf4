import pandas as pd
import pytest
import torch
from torch.utils.data import RandomSampler

from data import DataModule, LengthBatchSampler, load_corpus
from errors import InputError
from sources import BUNDLED, Sources

HEADER = "sentence,label,idx\n"


@pytest.fixture(scope="module")
def data():
    return DataModule(Sources(BUNDLED, BUNDLED), batch_size=32, max_length=64)


def test_the_bundled_corpus_has_both_labels_in_both_splits():
    corpus = load_corpus(BUNDLED)
    assert {split: set(rows["label"]) for split, rows in corpus.items()} == {"train": {0, 1}, "validation": {0, 1}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train.csv is empty"),
        (HEADER.encode(), "has a header but no rows"),
        (b"sentence,idx\nHe runs.,0\n", "has no column 'label': found 'sentence', 'idx'"),
        (b"text,label\nHe runs.,0\n", "has no column 'sentence'"),
        ((HEADER + "He runs.,1,0\nHe run.,2,1\n").encode(), "row 2: label '2' is neither 0"),
        ((HEADER + "He runs.,acceptable,0\n").encode(), "row 1: label 'acceptable' is neither 0"),
        ((HEADER + "He runs.,,0\n").encode(), "row 1: label '' is neither 0"),
        ((HEADER + "He runs.,1,0\n   ,1,1\n").encode(), "row 2: the sentence is blank"),
        ((HEADER + "Caf\xe9.,1,0\n").encode("latin-1"), "is not UTF-8"),
        ((HEADER + "a,b,c,d,e\n").encode(), "train.csv"),
        (b"sentence,label\nYesterday, he runs.,1\n", "commas in double quotes"),
        (b"\x00\x01\x02", "train.csv"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, content, message):
    (tmp_path / "train.csv").write_bytes(content)
    (tmp_path / "validation.csv").write_text(HEADER + "He runs.,1,0\n")
    with pytest.raises(InputError) as error:
        load_corpus(tmp_path)
    assert message in str(error.value)
    assert "train.csv" in str(error.value)


def test_a_missing_split_is_named(tmp_path):
    (tmp_path / "train.csv").write_text(HEADER + "He runs.,1,0\n")
    with pytest.raises(InputError, match="validation.csv not found"):
        load_corpus(tmp_path)


def test_a_file_is_no_data_folder(tmp_path):
    (tmp_path / "train.csv").write_text(HEADER + "He runs.,1,0\n")
    with pytest.raises(InputError, match="not found: a data folder holds train.csv and validation.csv"):
        load_corpus(tmp_path / "train.csv")


def test_words_that_look_like_missing_values_stay_sentences(tmp_path):
    for split in ("train", "validation"):
        (tmp_path / f"{split}.csv").write_text(HEADER + "NA,1,0\nnull,0,1\n")
    assert load_corpus(tmp_path)["train"]["sentence"].tolist() == ["NA", "null"]


def test_a_batch_is_as_wide_as_its_longest_sentence(data):
    for batch in data.train_dataloader():
        assert batch["input_ids"].shape == batch["attention_mask"].shape
        assert batch["attention_mask"].sum(dim=1).max() == batch["input_ids"].shape[1]


def test_an_epoch_holds_every_sentence_once_in_an_order_of_its_own(data):
    lengths = [len(ids) for ids, _ in data.rows["train"]]
    sampler = LengthBatchSampler(RandomSampler(lengths), 32, False, lengths, shuffle=True)
    first, second = ([i for batch in sampler for i in batch] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(len(lengths)))
    assert first != second


def test_batches_by_length_waste_less_than_random_ones(data):
    lengths = [len(ids) for ids, _ in data.rows["train"]]
    torch.manual_seed(0)

    def padded(batches) -> int:
        return sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)

    by_length = padded(LengthBatchSampler(RandomSampler(lengths), 32, False, lengths, shuffle=True))
    at_random = padded(torch.randperm(len(lengths)).split(32))
    assert sum(lengths) <= by_length < 1.1 * sum(lengths) < at_random


def test_a_long_sentence_is_cut_at_the_maximum_length(tmp_path):
    for split in ("train", "validation"):
        pd.DataFrame({"sentence": ["word " * 10_000, "He runs."], "label": [0, 1]}).to_csv(tmp_path / f"{split}.csv")
    data = DataModule(Sources(tmp_path, BUNDLED), max_length=16)
    assert next(len(ids) for ids, _ in data.rows["train"]) == 16
