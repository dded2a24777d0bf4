"""The real clients of the Hugging Face Hub, `transformers` and `huggingface_hub`, against a stand-in of it.

    python -m pytest tests/test_hub.py

No network is needed: `HF_ENDPOINT` leads the clients to a server on this computer, their caches start empty, and
what they would send to any other host, they send to that server as their proxy.
"""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

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
  splits:
{splits}
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
START_UP_S = 30  # for importing torch and Lightning: 6 s on an idle machine
UNANSWERED_S = 10  # for noticing that the Hub does not answer, and saying so


# ---- what the stand-in serves ----------------------------------------------------------------------------------------


def sentences(split: str, rows: int) -> pd.DataFrame:
    return pd.read_csv(WEEK / "bundled" / f"{split}.csv").sample(rows, random_state=0)


def in_memory(write) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def glue() -> Repository:
    """CoLA's part of GLUE, in the form it has on the Hub; the labels of its test split are secret."""
    validation = sentences("validation", 60)
    splits = {"train": sentences("train", 200), "validation": validation, "test": validation.assign(label=-1)}
    types = pa.schema({"sentence": pa.string(), "label": pa.int64(), "idx": pa.int32()})
    tables = {split: pa.Table.from_pandas(rows, types, preserve_index=False) for split, rows in splits.items()}
    lines = (f"  - name: {s}\n    num_bytes: {t.nbytes}\n    num_examples: {len(t)}" for s, t in tables.items())
    files = {"README.md": DATA_CARD.format(splits="\n".join(lines)).encode()}
    for split, table in tables.items():
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
    bert = pretrained(BERT, BertForPreTraining, BertConfig)
    tokenizer = BertWordPieceTokenizer({token: index for index, token in enumerate(word_pieces())}, lowercase=True)
    electra.files["tokenizer.json"] = tokenizer.to_str().encode()
    electra.files["tokenizer_config.json"] = b'{"do_lower_case": true, "model_max_length": 512}'
    return {f"datasets/{GLUE}": glue(), ELECTRA: electra, BERT: bert}


# ---- running the course's training against it ------------------------------------------------------------------------


class Training(NamedTuple):
    """A run of `train.py` that has ended."""

    home: Path  # of the clients' caches
    output: Path
    returncode: int
    stderr: str
    elapsed_s: float

    def checkpoint(self) -> dict:
        assert self.returncode == 0, self.stderr
        return torch.load(self.output / "best-checkpoint.ckpt", weights_only=True)

    def provenance(self) -> dict:
        return self.checkpoint()["hyper_parameters"]["provenance"]

    def error(self) -> str:
        """The message of a refusal: the last line on stderr."""
        assert self.returncode == 2, self.stderr
        assert "Traceback" not in self.stderr
        return self.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def week(tmp_path_factory) -> Path:
    """A copy of the week with a small stand-in corpus, for speed."""
    copy = tmp_path_factory.mktemp("copy") / "week"
    shutil.copytree(WEEK, copy, ignore=shutil.ignore_patterns("__pycache__", "models", "tests"))
    for split in ("train", "validation"):
        sentences(split, 60).to_csv(copy / "bundled" / f"{split}.csv", index=False)
    (copy / "bundled" / "phenomena.json").unlink()  # it names rows of the whole corpus
    return copy


@pytest.fixture(scope="module")
def train(week, tmp_path_factory):
    """Run `train.py` for an epoch, with the clients' caches in `home`."""

    def run(home: Path, hub: str, *options: str) -> Training:
        ours = {n: v for n, v in os.environ.items() if not re.match(r"HF_|HUGGING|TRANSFORMERS_|.*_proxy$", n, re.I)}
        ours |= {"HF_HOME": str(home), "HF_ENDPOINT": hub, "http_proxy": hub, "https_proxy": hub}
        ours |= {"no_proxy": "127.0.0.1,localhost"}
        ours |= {"OMP_NUM_THREADS": "1"}  # several wait for each other where the cores are busy
        output = tmp_path_factory.mktemp("output")
        command = [sys.executable, "train.py", "--epochs", "1", "--output", str(output), *options]
        start = time.monotonic()
        done = subprocess.run(command, cwd=week, env=ours, capture_output=True, text=True, timeout=120)
        return Training(home, output, done.returncode, done.stderr, time.monotonic() - start)

    return run


def at_once(*calls: tuple) -> list:
    """The results of several calls, each a function and its arguments, that run at the same time."""
    with ThreadPoolExecutor() as pool:
        return [future.result() for future in [pool.submit(*call) for call in calls]]


def mute_server(port: int = 0) -> socket.socket:
    """A server that never says anything: the system accepts connections for it, and there they stay."""
    return socket.create_server(("127.0.0.1", port))


def unused_url() -> str:
    with mute_server() as server:
        return url_of(server)


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def hub_runs(train, repositories, tmp_path_factory):
    """Two trainings from the Hub, which is stopped afterwards: with the default encoder and with the small one."""
    with HubStandIn(repositories) as hub:
        homes = [tmp_path_factory.mktemp("electra"), tmp_path_factory.mktemp("bert")]
        runs = at_once(
            (train, homes[0], hub.url, "--source", "hub"),
            (train, homes[1], hub.url, "--source", "hub", "--model", BERT),
        )
    return hub, *runs


# ---- the tests -------------------------------------------------------------------------------------------------------


def test_source_hub_trains_on_the_pinned_commits_and_says_so(hub_runs):
    _, electra, bert = hub_runs
    for run, name in ((electra, ELECTRA), (bert, BERT)):
        provenance = run.provenance()
        assert provenance["source"] == "hub"
        assert (provenance["data"], provenance["data_revision"]) == (GLUE, REVISIONS[GLUE])
        assert (provenance["model"], provenance["model_revision"]) == (name, REVISIONS[name])
        assert "200 sentences" in run.stderr


def test_nothing_but_pinned_commits_is_asked_for(hub_runs):
    hub, *runs = hub_runs
    assert [run.returncode for run in runs] == [0, 0]
    unpinned = {request for request in hub.requests if not any(revision in request for revision in REVISIONS.values())}
    assert unpinned <= {"GET /", "GET /api/agent-harnesses"}  # is it there, and a list that huggingface_hub asks for


@pytest.mark.parametrize(("number", "name", "encoder"), [(1, ELECTRA, "electra"), (2, BERT, "bert")])
def test_training_starts_from_the_weights_on_the_hub(hub_runs, repositories, number, name, encoder):
    trained = hub_runs[number].checkpoint()["state_dict"]
    served = torch.load(io.BytesIO(repositories[name].files["pytorch_model.bin"]), weights_only=True)
    weights = f"{encoder}.embeddings.word_embeddings.weight"
    # seven steps of at most 1e-4 each; random weights would differ by 2e-2 and more
    torch.testing.assert_close(trained[f"network.{weights}"], served[weights], atol=2e-3, rtol=0)


@pytest.mark.parametrize("number", [1, 2], ids=["tokenizer.json", "vocab.txt"])
def test_tokenizers_from_the_hub_ignore_case(hub_runs, number):
    tokenizer = Tokenizer.from_str(hub_runs[number].checkpoint()["hyper_parameters"]["tokenizer_json"])
    sentence = sentences("train", 1)["sentence"].item()
    tokens = tokenizer.encode(sentence.upper()).tokens
    assert tokens == tokenizer.encode(sentence.lower()).tokens
    assert "[UNK]" not in tokens
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")


def test_source_auto_takes_the_pinned_commit_from_the_cache_without_asking_the_network(train, hub_runs):
    hub, before, _ = hub_runs
    with mute_server(hub.server_port) as mute:
        run = train(before.home, hub.url, "--source", "auto")
        mute.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody is waiting for an answer
            mute.accept()
    assert "source: the local cache of the Hugging Face Hub" in run.stderr
    assert run.provenance() == before.provenance()
    assert "200 sentences" in run.stderr


def test_source_auto_without_hub_or_cache_takes_the_stand_ins_and_says_so_in_one_line(train, tmp_path):
    run = train(tmp_path, unused_url(), "--source", "auto")
    assert run.provenance()["source"] == "bundled"
    (line,) = [line for line in run.stderr.splitlines() if "source" in line]
    assert "bundled stand-ins" in line
    assert "--source hub" in line
    assert run.elapsed_s < START_UP_S + UNANSWERED_S


def test_source_hub_without_an_answer_is_refused_with_the_cure(train, tmp_path):
    with mute_server() as mute:
        runs = at_once(
            (train, tmp_path / "refused", unused_url(), "--source", "hub"),
            (train, tmp_path / "mute", url_of(mute), "--source", "hub"),
        )
    for run in runs:
        assert re.match(r"error: .*Hugging Face Hub.*connection.*--source bundled", run.error())
        assert run.elapsed_s < START_UP_S + UNANSWERED_S


def test_a_download_that_breaks_off_is_refused_with_the_cure(train, repositories, tmp_path):
    broken = {GLUE: "cola/train-00000-of-00001.parquet", ELECTRA: "pytorch_model.bin"}
    hubs = [HubStandIn(repositories, breaks_off_in=file) for file in broken.values()]
    with hubs[0], hubs[1]:
        runs = at_once(*((train, tmp_path / str(hub.server_port), hub.url, "--source", "hub") for hub in hubs))
    for name, run in zip(broken, runs, strict=True):
        assert re.match(rf"error: .*{name}.*connection.*--source bundled", run.error())
        assert not list(run.output.glob("*.ckpt"))
