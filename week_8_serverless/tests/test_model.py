import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from data import DataModule
from errors import InputError
from model import MCC, ColaModel
from sources import BUNDLED, Sources


@pytest.fixture(scope="module")
def data():
    return DataModule(Sources(BUNDLED, BUNDLED), batch_size=16, max_length=64)


@pytest.fixture
def model(data):
    torch.manual_seed(0)
    return ColaModel.from_pretrained(BUNDLED, data.tokenizer.to_str())


@pytest.fixture
def batch(data):
    torch.manual_seed(0)
    return next(iter(data.train_dataloader()))


def test_gradients_reach_every_parameter(model, batch):
    logits = model(batch["input_ids"], batch["attention_mask"])
    torch.nn.functional.cross_entropy(logits, batch["labels"]).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


def test_one_batch_can_be_learnt_by_heart(model, batch):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        logits = model(batch["input_ids"], batch["attention_mask"])
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"])
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert (logits.argmax(dim=1) == batch["labels"]).all()


def test_padding_does_not_change_the_score(model, batch):
    model.eval()
    with torch.no_grad():
        narrow = model(batch["input_ids"], batch["attention_mask"])
        wide = model(*(torch.nn.functional.pad(batch[name], (0, 40)) for name in ("input_ids", "attention_mask")))
    torch.testing.assert_close(narrow, wide, atol=1e-5, rtol=0)


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_model_with_one_answer_has_an_mcc_of_exactly_0(answer):
    labels = torch.tensor([1] * 721 + [0] * 322)  # as in CoLA's validation set
    assert MCC()(torch.full((1043,), answer), labels) == 0


def test_mcc_is_the_correlation_of_answers_and_labels():
    answers, labels = torch.tensor([1, 1, 1, 0, 0, 1, 0, 0]), torch.tensor([1, 1, 0, 0, 0, 1, 1, 0])
    tp, tn, fp, fn = 3, 3, 1, 1
    expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert MCC()(answers, labels).item() == pytest.approx(expected)


def test_a_folder_with_weights_is_loaded_and_one_without_starts_untrained(model, data, tmp_path):
    model.network.save_pretrained(tmp_path)
    again = ColaModel.from_pretrained(tmp_path, data.tokenizer.to_str())
    untrained = ColaModel.from_pretrained(BUNDLED, data.tokenizer.to_str())
    weights = [next(m.network.parameters()) for m in (model, again, untrained)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_damaged_encoder_or_one_with_other_classes_is_refused(model, data, tmp_path):
    model.network.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(weights | {"classifier.weight": torch.zeros(3, 128), "classifier.bias": torch.zeros(3)},
              tmp_path / "model.safetensors", {"format": "pt"})  # fmt: skip
    with pytest.raises(InputError, match="no usable model in"):
        ColaModel.from_pretrained(tmp_path, data.tokenizer.to_str())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="no usable model in"):
        ColaModel.from_pretrained(tmp_path, data.tokenizer.to_str())


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"vocab_size": 10}, "index out of range"),
        ({"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 1, "pad_token_id": None}, "no padding token"),
        ({"model_type": "t5", "d_model": 8, "d_kv": 8, "num_layers": 1, "num_heads": 1}, "decoder_start_token_id"),
    ],
)
def test_an_encoder_that_cannot_read_padded_batches_of_its_tokenizer_is_refused(data, tmp_path, config, reason):
    shutil.copytree(BUNDLED, tmp_path, dirs_exist_ok=True)
    config = json.loads((BUNDLED / "config.json").read_text()) | config
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=f"cannot read its tokenizer's batches: .*{reason}"):
        ColaModel.from_pretrained(tmp_path, data.tokenizer.to_str())
