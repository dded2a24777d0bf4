import hashlib
import json
import re
import shutil

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

import convert_model_to_onnx as script
from errors import InputError
from inference import ColaPredictor
from inference_onnx import ColaONNXPredictor
from sentences import LABELS


@pytest.fixture
def rows(small):
    return pd.read_csv(small / "validation.csv")


@pytest.fixture
def again(monkeypatch, exported):
    """Let the next exports give the model of an earlier one, after `change(model)`."""

    def use(change=lambda model: None):
        def export(_, path):
            shutil.copyfile(exported / "model.fp32.onnx", path)
            model = onnx.load(path)
            change(model)
            onnx.save(model, path)

        monkeypatch.setattr(script, "export", export)

    return use


def add_to_logits(amount: np.ndarray):
    """A change that adds `amount` (2,) to the logits of a model."""

    def change(model):
        (output,) = (node for node in model.graph.node if "logits" in node.output)
        output.output[list(output.output).index("logits")] = "before"
        model.graph.initializer.append(onnx.numpy_helper.from_array(amount.astype(np.float32), "amount"))
        model.graph.node.append(onnx.helper.make_node("Add", ["before", "amount"], ["logits"]))

    return change


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_export_gives_the_answers_of_pytorch(balanced, exported, rows):
    sentences = rows["sentence"].tolist()
    expected = ColaPredictor(balanced).logits(sentences)
    found = ColaONNXPredictor(exported / "model.fp32.onnx").logits(sentences)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 5), (7, 33), (2, 128)])
@pytest.mark.parametrize("file", ["model.onnx", "model.fp32.onnx"])
def test_batch_and_sequence_are_dynamic(balanced, exported, file, shape):
    ids = torch.randint(5, 300, shape, generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[-1, (shape[1] + 1) // 2 :] = 0
    session = onnxruntime.InferenceSession(exported / file)
    (found,) = session.run(["logits"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    with torch.inference_mode():
        expected = ColaPredictor(balanced).model(ids, mask).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 if "fp32" in file else 0.3)


def test_int8_is_much_smaller(exported):
    assert (exported / "model.onnx").stat().st_size < 0.4 * (exported / "model.fp32.onnx").stat().st_size


def test_a_model_carries_all_that_a_prediction_needs(exported, balanced):
    metadata = {entry.key: entry.value for entry in onnx.load(exported / "model.onnx").metadata_props}
    assert json.loads(metadata["labels"]) == LABELS
    assert json.loads(metadata["provenance"]) == ColaPredictor(balanced).provenance
    assert metadata["tokenizer_sha256"] == hashlib.sha256((exported / "tokenizer.json").read_bytes()).hexdigest()
    assert (metadata["max_length"], metadata["pad_id"], metadata["precision"]) == ("64", "0", "int8")
    assert metadata["int8"].startswith("MCC ")


@pytest.mark.parametrize(
    ("amount", "message"),
    [([2e-4, 2e-4], "differ by up to 2.0e-04"), ([0, 100], "differ by up to 1.0e"), ([np.nan, 0], "up to nan")],
)
def test_an_export_that_gives_other_logits_fails_and_leaves_the_old_files(
    again, exported, balanced, rows, tmp_path, amount, message
):
    shutil.copytree(exported, tmp_path / "models")
    before = content(tmp_path / "models")
    again(add_to_logits(np.array(amount)))
    with pytest.raises(InputError, match=message):
        script.convert(balanced, rows, tmp_path / "models")
    assert content(tmp_path / "models") == before


def test_a_changed_label_fails_however_small_the_difference():
    with pytest.raises(InputError, match="1 of 2 labels changed"):
        script.compare_logits(np.array([[0, 1e-6], [0, 1]]), np.array([[1e-6, 0], [0, 1]]))


def test_int8_that_loses_too_much_is_not_served_and_the_loss_is_named(again, balanced, rows, tmp_path, monkeypatch):
    """Against PyTorch's own answers, PyTorch has an MCC of 1; int8 weights that always say "acceptable" have 0."""
    answers = ColaPredictor(balanced).logits(rows["sentence"].tolist()).argmax(axis=1)
    again()

    def quantize(source, path):
        model = onnx.load(source)
        add_to_logits(np.array([0, 1000]))(model)
        onnx.save(model, path)

    monkeypatch.setattr(script, "quantize", quantize)
    results = script.convert(balanced, rows.assign(label=answers), tmp_path, max_mcc_loss=0.99)
    assert results["mcc"] == {"pytorch": 1, "fp32": 1, "int8": 0}
    assert results["served"] == "fp32"
    assert results["why"] == "as int8 gives MCC 1.000 -> 0.000, loss 1.000 (limit 0.99)"
    assert (tmp_path / "model.onnx").read_bytes() == (tmp_path / "model.fp32.onnx").read_bytes()
    assert ColaONNXPredictor(tmp_path / "model.onnx").precision == "fp32"
    assert script.convert(balanced, rows.assign(label=answers), tmp_path, max_mcc_loss=1)["served"] == "int8"


def test_the_command_writes_its_numbers(cli, again, balanced, small, tmp_path):
    again()
    places = ["--output", tmp_path / "models", "--reports", tmp_path / "reports"]
    code, out, _ = cli(script.main, "--checkpoint", balanced, "--data", small, *places, "--max-mcc-loss", 2)
    assert code == 0
    assert "no label changed" in out
    said = rf"served: int8, MCC \S+ -> \S+, loss \S+ \(limit 2\): {tmp_path / 'models' / 'model.onnx'}"
    assert re.fullmatch(said, out.splitlines()[-1])
    results = json.loads((tmp_path / "reports" / "export.json").read_text())
    assert (results["sentences"], results["labels_changed"], results["served"]) == (80, 0, "int8")
    assert results["size_bytes"]["int8"] == (tmp_path / "models" / "model.onnx").stat().st_size
    assert sorted(content(tmp_path / "models")) == ["model.fp32.onnx", "model.onnx", "tokenizer.json"]


def test_without_the_data_it_says_how_to_name_it(cli, balanced):
    code, _, err = cli(script.main, "--checkpoint", balanced)
    assert code == 2
    assert "--data DIR" in err
