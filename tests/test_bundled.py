"""The stand-ins: made anew byte for byte, balanced, with words and templates that training has never seen."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "week_0_project_setup" / "bundled"
COLA = ROOT.parent / "shared" / "cola"
SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def corpus() -> dict[str, pd.DataFrame]:
    return {split: pd.read_csv(BUNDLED / f"{split}.csv") for split in SPLITS}


@pytest.fixture(scope="module")
def phenomena() -> dict[str, list[dict]]:
    return json.loads((BUNDLED / "phenomena.json").read_text())


def rows(corpus, phenomena, held_out: str) -> pd.DataFrame:
    """The validation sentences of one kind."""
    ranges = [range(e["first_idx"], e["last_idx"] + 1) for e in phenomena["validation"] if e["held_out"] == held_out]
    return corpus["validation"].iloc[[i for r in ranges for i in r]]


def words(sentences: pd.Series) -> set[str]:
    return set(re.findall(r"\w+", " ".join(sentences).lower()))


def test_the_generator_makes_the_same_bytes_again(tmp_path):
    command = [sys.executable, ROOT / "tools" / "make_bundled.py", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    made, kept = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path, BUNDLED))
    assert made == kept


def test_size_columns_and_numbers(corpus):
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 500_000
    for split in SPLITS:
        assert list(corpus[split]) == ["sentence", "label", "idx"]
        assert corpus[split]["idx"].tolist() == list(range(len(corpus[split])))
    assert len(corpus["train"]) >= 4000
    assert len(corpus["validation"]) >= 600


def test_always_giving_one_answer_is_right_less_than_6_times_in_10(corpus, phenomena):
    parts = [corpus["train"], rows(corpus, phenomena, "words"), rows(corpus, phenomena, "templates")]
    assert all(part["label"].value_counts(normalize=True).max() < 0.6 for part in parts)


def test_no_sentence_occurs_twice(corpus):
    sentences = pd.concat([corpus[split]["sentence"] for split in SPLITS])
    assert sentences.str.rstrip(".").is_unique


def test_at_least_12_phenomena_cover_every_row_in_both_halves(corpus, phenomena):
    names = {entry["phenomenon"] for entry in phenomena["train"]}
    assert len(names) >= 12
    for held_out in ("words", "templates"):
        assert {e["phenomenon"] for e in phenomena["validation"] if e["held_out"] == held_out} == names
    for split in SPLITS:
        covered = [i for e in phenomena[split] for i in range(e["first_idx"], e["last_idx"] + 1)]
        assert covered == list(range(len(corpus[split])))
    halves = [len(rows(corpus, phenomena, held_out)) for held_out in ("words", "templates")]
    assert halves[0] == halves[1]


def test_sentences_come_in_pairs_of_one_acceptable_and_one_not(corpus):
    for split in SPLITS:
        assert corpus[split]["label"].tolist() == [1, 0] * (len(corpus[split]) // 2)


def test_words_are_new_in_one_half_and_known_in_the_other(corpus, phenomena):
    known = words(corpus["train"]["sentence"])
    new_words = words(rows(corpus, phenomena, "words")["sentence"]) - known
    assert len(new_words) > 150
    of_templates = words(rows(corpus, phenomena, "templates")["sentence"])
    assert len(of_templates - known) < 0.05 * len(of_templates)  # but for a few forms of known words


def test_no_sentence_is_one_of_cola(corpus):
    if not COLA.is_dir():
        pytest.skip("CoLA is not on this machine")
    theirs = pd.concat([pd.read_csv(COLA / f"{split}.csv")["sentence"] for split in SPLITS])
    ours = pd.concat([corpus[split]["sentence"] for split in SPLITS])
    plain = [{re.sub(r"\W+", " ", s).strip().lower() for s in sentences} for sentences in (ours, theirs)]
    assert plain[0].isdisjoint(plain[1])


def test_the_tokenizer_spells_words_that_it_has_never_seen():
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
    for word in ("xylophone", "Zanzibar", "rhythm", "e-mail", "n't", "2026", "sesquipedalian", "(sic)", "don't"):
        assert tokenizer.unk_token not in tokenizer.tokenize(word), word
    assert tokenizer.tokenize("WALKED") == tokenizer.tokenize("walked")
    ids = tokenizer("The zebras graze.").input_ids
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


def test_the_encoder_is_small_and_has_no_weights():
    config = AutoConfig.from_pretrained(BUNDLED)
    model = AutoModelForSequenceClassification.from_config(config)
    assert config.num_hidden_layers == 2
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_000_000
    assert not [*BUNDLED.glob("*.safetensors"), *BUNDLED.glob("*.bin")]
