"""Real CoLA from a folder and a pretrained encoder from another, in each of the weeks in which training takes shape."""

import json
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
SETTINGS = {"data": "processing.data", "model": "model.name", "epochs": "training.epochs", "batch_size":
            "processing.batch_size", "learning_rate": "training.learning_rate"}  # fmt: skip

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


@pytest.mark.parametrize("number", [0, 1, 2])
def test_training_starts_from_the_weights_on_disk_and_sees_all_of_cola(number, encoder, tmp_path, monkeypatch):
    """At so low a learning rate, the weights of the checkpoint are those of the folder."""
    (week,) = ROOT.glob(f"week_{number}_*")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    settings = {"data": COLA, "model": encoder, "epochs": 1, "batch_size": 128, "learning_rate": 1e-9}
    options = [f"{SETTINGS[name]}={value}" for name, value in settings.items()]
    if number < 2:
        options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    subprocess.run([sys.executable, week / "train.py", *options], cwd=tmp_path, check=True, capture_output=True)
    command = [sys.executable, week / "evaluate.py", "--data", COLA, "--json"]
    results = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout)
    labels = {split: pd.read_csv(COLA / f"{split}.csv")["label"] for split in ("train", "validation")}
    assert results["sentences"] == len(labels["validation"])
    share = (labels["validation"] == labels["train"].mode()[0]).mean()
    assert results["majority"]["accuracy"] == pytest.approx(share, abs=1e-4)
    assert results["majority"]["mcc"] == 0
    checkpoint = torch.load(tmp_path / "models" / "best-checkpoint.ckpt", weights_only=True)
    provenance = checkpoint["hyper_parameters"]["provenance"]
    assert (provenance["source"], provenance["data"], provenance["model"]) == ("disk", "cola/", "encoder/")
    pretrained = BertModel.from_pretrained(encoder).state_dict()["embeddings.word_embeddings.weight"]
    trained = checkpoint["state_dict"]["network.bert.embeddings.word_embeddings.weight"]
    torch.testing.assert_close(trained, pretrained, atol=1e-5, rtol=0)
