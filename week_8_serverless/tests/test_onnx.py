"""What week 4 promises: the exported model answers as PyTorch does, alone, and for a million lines too."""

import hashlib
import io
import json
import runpy
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import batch
import compare
import convert_model_to_onnx as script
from data import load_corpus
from inference import ColaPredictor
from inference_onnx import ColaONNXPredictor

PAIR = ["The boy is sitting on a bench", "The boy are sitting on a bench"]
SENTENCES = [PAIR[0], "Go!", PAIR[1], "The very old teacher that the boys saw " * 3 + "smiled."]


@pytest.fixture
def fp32(model_onnx):
    return model_onnx.with_name("model.fp32.onnx")


@pytest.fixture
def again(monkeypatch, fp32):
    """Let the next export give the earlier model, with an amount (2,) added to its logits."""

    def add(path: Path, amount) -> None:
        model = onnx.load(path)
        (last,) = (node for node in model.graph.node if "logits" in node.output)
        last.output[list(last.output).index("logits")] = "before"
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(amount, np.float32), "amount"))
        model.graph.node.append(onnx.helper.make_node("Add", ["before", "amount"], ["logits"]))
        onnx.save(model, path)

    def use(of_export, of_int8=(0, 0)):
        for name, amount in {"export": of_export, "quantize": of_int8}.items():
            monkeypatch.setattr(
                script, name, lambda _, path, amount=amount: (shutil.copyfile(fp32, path), add(path, amount))
            )

    return use


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_export_gives_the_answers_of_pytorch(checkpoint, fp32, few):
    sentences = list(load_corpus(few)["validation"]["sentence"])
    expected = ColaPredictor(checkpoint).logits(sentences).numpy()
    np.testing.assert_allclose(ColaONNXPredictor(fp32).logits(sentences), expected, atol=1e-4)
    assert len(set(expected.argmax(axis=1))) == 2  # else any two models would agree


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 33), (2, 128)])
def test_any_number_of_sentences_of_any_length(checkpoint, fp32, shape):
    ids = torch.randint(5, 300, shape, generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[-1, (shape[1] + 1) // 2 :] = 0
    session = ColaONNXPredictor(fp32).session
    (found,) = session.run(["logits"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(found, ColaPredictor(checkpoint).model(ids, mask).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["model.onnx", "model.fp32.onnx"])
def test_a_score_depends_on_no_other_sentence_and_on_no_other_thread(model_onnx, name):
    predictor = ColaONNXPredictor(model_onnx.with_name(name))
    alone = np.concatenate([predictor.logits([sentence]) for sentence in SENTENCES])
    with ThreadPoolExecutor(8) as pool:
        for together in pool.map(predictor.logits, [SENTENCES] * 50):
            np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_label_is_that_of_the_score_as_it_is_shown(model_onnx, monkeypatch):
    predictor = ColaONNXPredictor(model_onnx)
    monkeypatch.setattr(predictor, "logits", lambda _: np.array([[1e-4, 0]]))  # a score of 0.499975
    assert predictor.predict(["He runs."]) == [{"sentence": "He runs.", "label": "acceptable", "score": 0.5}]


def test_one_small_file_holds_all_that_a_prediction_needs(model_onnx, fp32, checkpoint, tmp_path):
    alone = ColaONNXPredictor(shutil.copy(model_onnx, tmp_path))
    trained = ColaPredictor(checkpoint)
    assert alone.labels == trained.labels == ["unacceptable", "acceptable"]
    assert alone.tokenizer.to_str() == trained.model.hparams.tokenizer
    assert alone.facts == {
        "precision": "int8",
        "provenance": trained.model.hparams.provenance,
        "sha256": hashlib.sha256(model_onnx.read_bytes()).hexdigest(),
    }
    assert model_onnx.stat().st_size < 0.4 * fp32.stat().st_size


@pytest.mark.parametrize("amount", [(2e-4, 2e-4), (np.nan, 0)])
def test_an_export_that_differs_from_pytorch_leaves_the_old_model(again, checkpoint, model_onnx, tmp_path, amount):
    shutil.copytree(model_onnx.parent, tmp_path, dirs_exist_ok=True)
    again(amount)
    with pytest.raises(SystemExit, match="is as it was"):
        script.convert(checkpoint, output=tmp_path)
    assert files(tmp_path) == files(model_onnx.parent)


def test_int8_that_costs_too_much_is_not_served(again, checkpoint, tmp_path):
    again((0, 0), of_int8=(0, 1000))  # it says "acceptable" to everything
    results = script.convert(checkpoint, output=tmp_path)
    assert results["mcc"]["pytorch"] > results["mcc"]["int8"] == 0
    assert ColaONNXPredictor(tmp_path / "model.onnx").facts["precision"] == "fp32"
    assert sorted(files(tmp_path)) == ["model.fp32.onnx", "model.onnx"]


def test_no_training_library_is_imported(model_onnx):
    code = f"""if True:
        import sys, inference_onnx
        inference_onnx.ColaONNXPredictor({str(model_onnx)!r}).predict(["He runs."])
        print({{"torch", "transformers", "datasets", "pytorch_lightning", "pandas", "onnx"}} & set(sys.modules))
    """
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.mark.parametrize("sentence", ["", " ", "\u200b", "\0", "\u0301"])
def test_a_sentence_without_words_is_refused(model_onnx, sentence):
    with pytest.raises(ValueError, match="sentence 2 has no words"):
        ColaONNXPredictor(model_onnx).predict(["He runs.", sentence])


def test_sentences_that_are_cut_are_counted_in_one_line(model_onnx, caplog):
    ColaONNXPredictor(model_onnx).predict(["word " * 200, "He runs.", "word " * 300])
    assert caplog.messages == ["2 of 3 sentences were cut after 128 tokens"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["--model", "none.onnx", "He runs."], b"", "run dvc pull, dvc repro, or python convert_model_to_onnx.py"),
        (["training.epochs=1"], b"", "is no sentence"),
        ([], b"sentence,label\nHe runs.,1\n", "is no sentence"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(model_onnx, monkeypatch, arguments, stdin, message):
    monkeypatch.setattr("sys.argv", ["inference_onnx.py", "--model", str(model_onnx), *arguments])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    with pytest.raises(SystemExit, match=message):
        runpy.run_path("inference_onnx.py", run_name="__main__")


def test_a_byte_order_mark_is_no_part_of_the_first_sentence(model_onnx, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["inference_onnx.py", "--model", str(model_onnx), "--json"])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("He runs.\n".encode("utf-8-sig"))))
    runpy.run_path("inference_onnx.py", run_name="__main__")
    assert json.loads(capsys.readouterr().out) == ColaONNXPredictor(model_onnx).predict(["He runs."])[0]


@pytest.fixture
def lines(tmp_path, monkeypatch) -> Path:
    """A file of 50 lines, two of them bad, in chunks of 8."""
    monkeypatch.setattr(batch, "CHUNK", 8)
    rows = [f"The {'old ' * (i % 9)}dogs bark {i}.".encode() for i in range(50)]
    rows[0], rows[10], rows[20], rows[49] = b"\xef\xbb\xbfHe runs.\r", b"", b"caf\xe9", b"word " * 200
    (tmp_path / "lines.txt").write_bytes(b"\n".join(rows))
    return tmp_path / "lines.txt"


def scores(folder: Path) -> list[dict]:
    return [json.loads(line) for part in sorted(folder.glob("part-*")) for line in part.read_text().splitlines()]


def test_line_for_line_a_batch_is_what_the_predictor_says(lines, model_onnx, tmp_path, caplog):
    said = batch.score_file(lines, tmp_path / "scores", model_onnx)
    assert said == f"50 lines, 2 with an error, 1 cut: {tmp_path / 'scores'}"
    found = scores(tmp_path / "scores")
    assert found.pop(20) == {"sentence": "caf\ufffd", "error": "not UTF-8"}
    assert found.pop(10) == {"sentence": "", "error": "no words"}
    assert found[0]["sentence"] == "He runs."
    assert found[-1].pop("cut")
    assert not caplog.messages
    assert found == ColaONNXPredictor(model_onnx).predict([row["sentence"] for row in found])


def test_after_a_kill_a_batch_goes_on_and_loses_no_line(lines, model_onnx, tmp_path, monkeypatch):
    batch.score_file(lines, tmp_path / "whole", model_onnx)
    rename, renamed = Path.replace, []

    def stop_at_the_third(path, target):
        renamed.append(target)
        if len(renamed) > 2:
            raise OSError("power cut")
        rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop_at_the_third)
        with pytest.raises(OSError, match="power cut"):
            batch.score_file(lines, tmp_path / "cut", model_onnx)
    finished = {part: part.stat().st_mtime_ns for part in (tmp_path / "cut").glob("part-*")}
    assert len(finished) == 2
    batch.score_file(lines, tmp_path / "cut", model_onnx)
    assert scores(tmp_path / "cut") == scores(tmp_path / "whole")
    assert all(part.stat().st_mtime_ns == made for part, made in finished.items())


def test_parts_of_other_sentences_or_of_another_model_are_not_mixed(lines, model_onnx, fp32, tmp_path):
    batch.score_file(lines, tmp_path / "scores", model_onnx)
    with pytest.raises(SystemExit, match="was begun with other sentences or another model"):
        batch.score_file(lines, tmp_path / "scores", fp32)
    lines.write_bytes(lines.read_bytes() + b"\nOne more.")
    with pytest.raises(SystemExit, match="was begun with other sentences or another model"):
        batch.score_file(lines, tmp_path / "scores", model_onnx)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sentence,label\nHe runs.,1\n", "is a table"),
        (b"gj04\t1\t\tHe runs.\n", "is a table"),
        ("He runs.\n".encode("utf-16"), "is UTF-16"),
    ],
)
def test_what_is_not_a_file_of_sentences_is_not_judged(model_onnx, tmp_path, content, message):
    (tmp_path / "in").write_bytes(content)
    with pytest.raises(SystemExit, match=message):
        batch.score_file(tmp_path / "in", tmp_path / "out", model_onnx)


def test_ray_writes_what_one_process_writes(lines, model_onnx, tmp_path, monkeypatch):
    pytest.importorskip("ray.data")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setattr(batch, "CHUNK", 1024)  # the workers import it
    batch.score_file(lines, tmp_path / "here", model_onnx)
    batch.score_file(lines, tmp_path / "ray", model_onnx, ray=True)
    assert files(tmp_path / "ray") == files(tmp_path / "here")


def test_the_three_ways_are_measured_and_drawn(checkpoint, model_onnx, few, tmp_path):
    ways = compare.load(checkpoint, model_onnx.parent)
    rows = load_corpus(few)["validation"][:20]
    table = compare.measure(ways, rows["sentence"], torch.tensor(rows["label"]))
    assert list(table.index) == ["PyTorch", "ONNX fp32", "ONNX int8"]
    assert table["MCC"]["PyTorch"] == table["MCC"]["ONNX fp32"]
    compare.draw(table, tmp_path / "reports" / "comparison.png")
    assert (tmp_path / "reports" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_the_models_of_two_runs_are_not_compared(checkpoint, model_onnx, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["provenance"]["seed"] = 1
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(SystemExit, match="was not made from"):
        compare.load(tmp_path / "other.ckpt", model_onnx.parent)
