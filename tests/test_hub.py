"""The real clients of the Hugging Face Hub, datasets and transformers, against a stand-in of it; no network is needed.

`HF_ENDPOINT` leads the clients to a server on this computer, their caches start empty, and what they would send to any
other host, they send to that server as their proxy.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from tokenizers import BertWordPieceTokenizer, Tokenizer
from transformers import BertConfig, BertForPreTraining, ElectraConfig, ElectraForPreTraining

from hub_stand_in import HubStandIn, Repository

WEEK = Path(__file__).parents[1] / "week_0_project_setup"
GLUE, ELECTRA, BERT = "nyu-mll/glue", "google/electra-small-discriminator", "google/bert_uncased_L-2_H-128_A-2"
REVISIONS = {
    GLUE: "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    ELECTRA: "fa8239aadc095e9164941d05878b98afe9b953c3",
    BERT: "30b0a37ccaaa32f332884b96992754e246e48c5f",
}
DATA_CARD = """---
dataset_info:
- config_name: cola
  features:
  - name: sentence
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': unacceptable
          '1': acceptable
  - name: idx
    dtype: int32
configs:
- config_name: cola
  data_files:
  - split: train
    path: cola/train-*
  - split: validation
    path: cola/validation-*
  - split: test
    path: cola/test-*
---
"""
SIZE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


def sentences(split: str, rows: int) -> pd.DataFrame:
    return pd.read_csv(WEEK / "bundled" / f"{split}.csv").sample(rows, random_state=0)


def in_memory(write) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def glue() -> Repository:
    """CoLA's part of GLUE, in the form it has on the Hub; the labels of its test split are secret."""
    validation = sentences("validation", 60)
    types = pa.schema({"sentence": pa.string(), "label": pa.int64(), "idx": pa.int32()})
    files = {"README.md": DATA_CARD.encode()}
    for split, rows in {
        "train": sentences("train", 200),
        "validation": validation,
        "test": validation.assign(label=-1),
    }.items():
        table = pa.Table.from_pandas(rows, types, preserve_index=False)
        files[f"cola/{split}-00000-of-00001.parquet"] = in_memory(lambda b, t=table: pa.parquet.write_table(t, b))
    return Repository(REVISIONS[GLUE], files)


def word_pieces() -> list[str]:
    """A lower-case vocabulary: the words of the training sentences, and the characters that spell any other."""
    words = re.findall(r"\w+", " ".join(sentences("train", 200)["sentence"]).lower())
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys([*special, *characters, *(f"##{c}" for c in characters), *words]))


def pretrained(name: str, network, config) -> Repository:
    """A tiny pretrained encoder with random weights: like both real ones, without `model.safetensors`."""
    torch.manual_seed(1)  # not the one that training starts from
    vocabulary = word_pieces()
    config = config(vocab_size=len(vocabulary), **SIZE)
    weights = network(config).state_dict()
    files = {
        "config.json": config.to_json_string().encode(),
        "pytorch_model.bin": in_memory(lambda buffer: torch.save(weights, buffer)),
        "vocab.txt": "\n".join(vocabulary).encode(),
    }
    return Repository(REVISIONS[name], files)


@pytest.fixture(scope="module")
def repositories() -> dict[str, Repository]:
    electra = pretrained(ELECTRA, ElectraForPreTraining, ElectraConfig)
    tokenizer = BertWordPieceTokenizer({token: index for index, token in enumerate(word_pieces())}, lowercase=True)
    electra.files["tokenizer.json"] = tokenizer.to_str().encode()
    electra.files["tokenizer_config.json"] = b'{"do_lower_case": true, "model_max_length": 512}'
    return {f"datasets/{GLUE}": glue(), ELECTRA: electra, BERT: pretrained(BERT, BertForPreTraining, BertConfig)}


@pytest.fixture(scope="module", params=[ELECTRA, BERT], ids=["default", "bert"])
def trained(request, repositories, tmp_path_factory):
    """A training from the Hub: the encoder's name, what was asked for, and the checkpoint."""
    home = tmp_path_factory.mktemp("home")
    ours = {n: v for n, v in os.environ.items() if not re.match(r"HF_|HUGGING|TRANSFORMERS_|.*_proxy$", n, re.I)}
    ours |= {"HF_HOME": str(home), "OMP_NUM_THREADS": "1", "no_proxy": "127.0.0.1,localhost"}
    options = [] if request.param == ELECTRA else ["--model", request.param]
    command = [sys.executable, WEEK / "train.py", "--source", "hub", "--epochs", "1", "--output", home, *options]
    with HubStandIn(repositories) as hub:
        ours |= {"HF_ENDPOINT": hub.url, "http_proxy": hub.url, "https_proxy": hub.url}
        run = subprocess.run(command, env=ours, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return request.param, hub.requests, torch.load(home / "best-checkpoint.ckpt", weights_only=True)


def test_nothing_but_pinned_commits_is_asked_for(trained):
    name, requests, checkpoint = trained
    unpinned = [request for request in requests if not any(revision in request for revision in REVISIONS.values())]
    assert not [request for request in unpinned if re.search(r"resolve|tree", request)]
    assert {GLUE, name} == {repository for repository in REVISIONS if any(repository in r for r in requests)}
    provenance = checkpoint["hyper_parameters"]["provenance"]
    assert (provenance["source"], provenance["encoder"], provenance["learning_rate"]) == ("hub", name, 1e-4)


def test_training_starts_from_the_weights_on_the_hub(trained, repositories):
    name, _, checkpoint = trained
    served = torch.load(io.BytesIO(repositories[name].files["pytorch_model.bin"]), weights_only=True)
    (weights,) = (key for key in served if key.endswith("embeddings.word_embeddings.weight"))
    # seven steps of at most 1e-4 each; random weights would differ by 2e-2 and more
    torch.testing.assert_close(checkpoint["state_dict"][f"network.{weights}"], served[weights], atol=2e-3, rtol=0)


def test_tokenizers_from_the_hub_ignore_case_and_cut_where_training_did(trained):
    tokenizer = Tokenizer.from_str(trained[2]["hyper_parameters"]["tokenizer"])
    sentence = sentences("train", 1)["sentence"].item()
    tokens = tokenizer.encode(sentence.upper()).tokens
    assert tokens == tokenizer.encode(sentence.lower()).tokens
    assert "[UNK]" not in tokens
    assert (tokens[0], tokens[-1], tokenizer.truncation["max_length"]) == ("[CLS]", "[SEP]", 128)
