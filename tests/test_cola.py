"""Real CoLA from a folder and a pretrained encoder from another, by options and by Hydra's keys."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parent.parent
COLA = ROOT.parent / "shared" / "cola"
OPTIONS = "--source={} --model={} --epochs=1 --batch-size=128 --learning-rate=1e-9"
KEYS = "source={} model.name={} training.epochs=1 processing.batch_size=128 training.learning_rate=1e-9"

pytestmark = pytest.mark.skipif(not COLA.is_dir(), reason="CoLA is not on this machine")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """A folder as `save_pretrained` writes it: an encoder with weights, and a tokenizer made from CoLA's words."""
    folder = tmp_path_factory.mktemp("pretrained") / "encoder"
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(pd.read_csv(COLA / "train.csv")["sentence"], vocab_size=2000, show_progress=False)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, **special).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=tokenizer.get_vocab_size(), **sizes)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("number", "settings"), [(0, OPTIONS), (2, KEYS)])
def test_training_starts_from_the_weights_on_disk_and_sees_all_of_cola(
    number, settings, encoder, tmp_path, monkeypatch
):
    """At so low a learning rate, the weights of the checkpoint are those of the folder."""
    (week,) = ROOT.glob(f"week_{number}_*")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [sys.executable, week / "train.py", *settings.format(COLA, encoder).split()]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    accuracy, mcc = re.search(r"majority +([\d.]+) +([\d.]+)", said).groups()
    share = pd.read_csv(COLA / "validation.csv")["label"].mean()
    assert (float(accuracy), float(mcc)) == (pytest.approx(share, abs=1e-3), 0)
    checkpoint = torch.load(tmp_path / "models" / "best-checkpoint.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["provenance"]["source"] == str(COLA)
    pretrained = BertModel.from_pretrained(encoder).state_dict()["embeddings.word_embeddings.weight"]
    trained = checkpoint["state_dict"]["network.bert.embeddings.word_embeddings.weight"]
    torch.testing.assert_close(trained, pretrained, atol=1e-5, rtol=0)
