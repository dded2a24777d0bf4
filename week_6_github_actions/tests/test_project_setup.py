"""What week 0 promises. One small training, made once, serves most of them."""

import io
import json
import runpy
import shutil
import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from tokenizers import Tokenizer

from conftest import train
from data import DataModule, load_corpus
from evaluate import evaluate, held_out, judge
from inference import ColaPredictor
from model import MCC, ColaModel
from sources import BUNDLED

PAIR = ["The boy is sitting on a bench", "The boy are sitting on a bench"]


@pytest.fixture(scope="module")
def data():
    data = DataModule("bundled", "bundled")
    data.trainer = type("Trainer", (), {"current_epoch": 0})
    data.setup()
    return data


def corpus_of(text: str, folder, name="{}.csv"):
    for split in ("train", "validation"):
        (folder / name.format(split)).write_text(text)
    return load_corpus(folder)["train"]


def judged(monkeypatch, capsys, *arguments, stdin: bytes = b"") -> list[str]:
    """What `python inference.py ARGUMENTS` prints."""
    monkeypatch.setattr(sys, "argv", ["inference.py", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    runpy.run_path("inference.py", run_name="__main__")
    return capsys.readouterr().out.splitlines()


def test_cola_loads_as_its_authors_publish_it(tmp_path):
    rows = 'gj04\t1\t\tShe said "hello.\nks08\t0\t*\tA dog bark.\n'  # a quote without its twin is part of the sentence
    for name in ("in_domain_train.tsv", "in_domain_dev.tsv"):
        (tmp_path / name).write_text(rows)
    corpus = load_corpus(tmp_path)["train"]
    assert corpus["sentence"][:] == ['She said "hello.', "A dog bark."]
    assert corpus["label"][:] == [1, 0]


def test_words_that_look_like_missing_values_are_sentences(tmp_path):
    assert corpus_of('\ufeff"sentence",label\nNA,1\n"Yes, null",0\n', tmp_path)["sentence"][:] == ["NA", "Yes, null"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sentence,label\nHe ran.,1\nHe runs.,2\n", "row 2: '2' is no label"),
        ("sentence,label\nHe ran.,1\nHe runs.,\n", "row 2: '' is no label"),
        ("sentence,label\nYesterday, he ran.,1\n", "no label"),
        ("sentence,label\n ,1\n", "row 1: ' ' is not one sentence"),
        (
            'sentence,label\nHe.,1\n"Hello he.,1\nA dog bark.,0\n"Bye he.,1\n',
            "train.csv, row 2: .* a quote without its",
        ),
        ("sentence;label\nHe ran.;1\n", "separated by commas"),
    ],
)
def test_a_row_without_one_sentence_and_one_label_is_named(text, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        corpus_of(text, tmp_path)


def test_an_epoch_holds_each_sentence_once_in_batches_hardly_wider_than_their_sentences(data):
    masks = [batch["attention_mask"] for batch in data.train_dataloader()]
    assert sum(mask.sum() for mask in masks) > 0.95 * sum(mask.numel() for mask in masks)
    order, data.trainer.current_epoch = data.train_dataloader().sampler, 1
    assert sorted(order) == list(range(len(data.tokens["train"])))
    assert order != data.train_dataloader().sampler


def test_one_batch_can_be_learnt_by_heart(data):
    torch.manual_seed(0)
    batch = next(iter(data.val_dataloader()))
    model = ColaModel.from_pretrained("bundled", tokenizer="", learning_rate=1e-3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(60):
        logits = model(batch["input_ids"], batch["attention_mask"])
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_it_learns_more_than_the_majority(checkpoint, few):
    results = evaluate(judge(checkpoint, few), few)
    assert results["majority"]["mcc"] == 0
    assert results["model"]["mcc"] > 0.2


def test_what_was_held_out_is_the_whole_validation_set():
    rows = sorted(row for rows in held_out("bundled").values() for row in rows)
    assert rows == list(range(len(load_corpus("bundled")["validation"])))


def test_padding_changes_no_score(checkpoint):
    predictor = ColaPredictor(checkpoint)
    alone = predictor.logits(PAIR[:1])
    beside = predictor.logits([PAIR[0], " and ".join(PAIR * 3)])[:1]
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=0)


def test_long_sentences_are_cut_as_in_training_also_when_tokens_come_from_the_cache(few):
    tokenizers = set()
    for _ in range(2):
        data = DataModule(few, "bundled", max_length=9)
        data.setup()
        tokenizers.add(data.tokenizer.backend_tokenizer.to_str())
    (tokenizer,) = tokenizers
    assert len(Tokenizer.from_str(tokenizer).encode("The boy is here. " * 9).ids) == 9


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_pretrained_weights_are_taken_and_trained_with_dropout(half, tmp_path):
    network = ColaModel.from_pretrained("bundled", tokenizer="", learning_rate=0).network
    (network.half() if half else network).save_pretrained(tmp_path)
    model = ColaModel.from_pretrained(str(tmp_path), tokenizer="", learning_rate=0)
    for taken, saved in zip(model.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(taken, saved.float())
    assert all(module.training for module in model.network.modules())


def test_a_training_that_has_gone_astray_is_stopped(few, tmp_path):
    with pytest.raises(ValueError, match="train/loss is nan: the learning rate .* is too high"):
        train(source=few, learning_rate=1e30, output=tmp_path)


def test_one_answer_to_everything_has_an_mcc_of_0():
    metric = MCC()
    metric.update(torch.ones(10), torch.tensor([1] * 7 + [0] * 3))
    assert metric.compute() == 0


def test_a_resumed_run_equals_an_uninterrupted_one(few, tmp_path, monkeypatch):
    encoder = tmp_path / "encoder"  # with dropout
    shutil.copytree(BUNDLED, encoder)
    ColaModel.from_pretrained("bundled", tokenizer="", learning_rate=0).network.save_pretrained(encoder)
    config = json.loads((encoder / "config.json").read_text()) | {"hidden_dropout_prob": 0.1}
    (encoder / "config.json").write_text(json.dumps(config))
    settings = {"source": few, "model": encoder, "epochs": 2, "batch_size": 64}
    epochs, weights = [], []
    monkeypatch.setattr(ColaModel, "on_train_epoch_start", lambda model: epochs.append(model.current_epoch))
    monkeypatch.setattr(ColaModel, "on_train_end", lambda model: weights.append(model.state_dict()))
    train(**settings, output=tmp_path / "whole")
    seed_step = ColaModel.on_train_batch_start

    def stop_in_the_second_epoch(model, batch, batch_idx):
        if model.current_epoch == 1 and batch_idx == 2:
            raise KeyboardInterrupt
        seed_step(model, batch, batch_idx)

    monkeypatch.setattr(ColaModel, "on_train_batch_start", stop_in_the_second_epoch)
    with pytest.raises(SystemExit):
        train(**settings, output=tmp_path / "cut")
    monkeypatch.setattr(ColaModel, "on_train_batch_start", seed_step)
    with pytest.raises(SystemExit, match="another run"):
        train(**settings, output=tmp_path / "cut", resume=True, seed=1)
    train(**settings, output=tmp_path / "cut", resume=True)
    assert epochs == [0, 1, 0, 1, 1]
    whole, cut = weights[0], weights[-1]
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    with pytest.raises(SystemExit, match="nothing to resume"):
        train(**settings, output=tmp_path / "cut", resume=True)


def test_the_checkpoint_is_all_that_inference_needs(checkpoint, tmp_path, monkeypatch, capsys):
    shutil.copy(checkpoint, tmp_path / "alone.ckpt")
    lines = judged(monkeypatch, capsys, "--checkpoint", tmp_path / "alone.ckpt", *PAIR)
    assert [line.split()[0] for line in lines] == ["acceptable", "unacceptable"]


def test_sentences_come_from_standard_input_without_its_byte_order_mark(checkpoint, monkeypatch, capsys):
    stdin = "\n".join(PAIR).encode("utf-8-sig")
    lines = judged(monkeypatch, capsys, "--json", "--checkpoint", checkpoint, stdin=stdin)
    assert [json.loads(line)["sentence"] for line in lines] == PAIR


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (["He runs.", " "], "sentence 2 has no words: ' '"),
        (["\u200b"], "sentence 1 has no words"),  # a space without width
        (["\0H\0e"], "is no sentence"),  # UTF-16
        (["\u0301"], "sentence 1 has no words"),  # an accent without its letter
        (["seed=1"], "'seed=1' is no sentence"),
        (['idx,"sentence",label', "1,He runs.,1"], "is no sentence"),
    ],
)
def test_what_is_no_sentence_is_not_judged(sentences, message, checkpoint, monkeypatch, capsys):
    stdin = "\n".join(sentences).encode()
    with pytest.raises(SystemExit, match=message):
        judged(monkeypatch, capsys, "--checkpoint", checkpoint, stdin=stdin)


def test_text_in_another_encoding_is_not_judged(checkpoint, monkeypatch, capsys):
    with pytest.raises(UnicodeDecodeError):
        judged(monkeypatch, capsys, "--checkpoint", checkpoint, stdin="He runs.".encode("utf-16"))


def test_sentences_that_are_cut_are_counted_in_one_line(checkpoint, capsys):
    ColaPredictor(checkpoint).predict(["The boy is here. " * 99] * 3 + PAIR)
    assert capsys.readouterr().err == "3 of 5 sentences were cut after 128 tokens\n"


def test_the_notebook_runs_and_draws():
    notebook = nbformat.read("experimental_notebooks/data_exploration.ipynb", as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": "experimental_notebooks"}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
