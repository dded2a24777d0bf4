import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import inference
from conftest import BAD, GOOD, WEEK
from errors import InputError
from inference_onnx import ColaONNXPredictor, main

SENTENCES = [GOOD, "Go!", BAD, "The very old teacher that the boys saw " * 3 + "smiled."]
FILES = ["model.onnx", "model.fp32.onnx"]


@pytest.fixture(params=FILES)
def predictor(exported, request):
    return ColaONNXPredictor(exported / request.param)


@pytest.fixture
def copy(exported, tmp_path):
    """A model of the tests that may be damaged."""
    return shutil.copytree(exported, tmp_path / "models") / "model.onnx"


@pytest.fixture
def judge(cli, exported):
    """Run inference_onnx.py with the model of the tests."""
    return lambda *arguments, **options: cli(main, "--model", exported / "model.fp32.onnx", *arguments, **options)


def test_a_score_does_not_depend_on_the_other_sentences(predictor):
    alone = np.concatenate([predictor.logits([sentence]) for sentence in SENTENCES])
    np.testing.assert_allclose(predictor.logits(SENTENCES), alone, atol=1e-5)


def test_answers_come_in_the_order_of_the_sentences(predictor):
    sentences = [f"{'very ' * (i % 7)}old dogs bark {i}." for i in range(150)]
    assert [p["sentence"] for p in predictor.predict(sentences)] == sentences
    np.testing.assert_allclose(predictor.logits(sentences)[::-1], predictor.logits(sentences[::-1]), atol=1e-5)


def test_no_sentences_give_no_answers(predictor):
    assert predictor.predict([]) == []


def test_the_json_is_that_of_inference_py(cli, judge, balanced):
    arguments = ["--json", GOOD, "Ein Bär schläft. 🐻", BAD]
    _, expected, _ = cli(inference.main, "--checkpoint", balanced, *arguments)
    _, found, _ = judge(*arguments)
    assert len(found.splitlines()) == 3
    for one, other in zip(map(json.loads, found.splitlines()), map(json.loads, expected.splitlines()), strict=True):
        assert list(one) == list(other)
        assert (one["sentence"], one["label"]) == (other["sentence"], other["label"])
        assert one["score"] == pytest.approx(other["score"], abs=2e-4)  # both are rounded to 4 digits


def test_provenance_and_length_come_with_the_model(predictor, balanced):
    assert predictor.provenance == inference.ColaPredictor(balanced).provenance
    assert predictor.max_length == 64


def test_no_training_library_is_imported(exported):
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(WEEK)!r})
        from inference_onnx import ColaONNXPredictor
        ColaONNXPredictor({str(exported / "model.onnx")!r}).predict(["He runs."])
        heavy = {{"torch", "transformers", "datasets", "pytorch_lightning", "pandas", "matplotlib", "onnx"}}
        print("onnxruntime" in sys.modules, heavy & set(sys.modules))
    """
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True set()\n"


def processor_s(run) -> float:
    """The least that one of five runs takes of a processor; on the clock, the machine's other work would count too."""
    seconds = []
    for _ in range(5):
        before = os.times()
        assert run().returncode == 0
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(seconds)


def test_a_new_process_answers_within_twice_the_time_of_its_imports(command, exported):
    imports = [sys.executable, "-c", "import numpy, onnxruntime, tokenizers"]
    answer = processor_s(lambda: command("inference_onnx.py", "--model", exported / "model.onnx", GOOD))
    assert answer < 2 * processor_s(lambda: subprocess.run(imports))


def test_many_threads_may_use_one_predictor(predictor):
    expected = predictor.logits(SENTENCES)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(predictor.logits, [SENTENCES] * 200):
            np.testing.assert_array_equal(found, expected)


def test_a_sentence_that_is_cut_is_said_so(judge, caplog):
    assert judge(GOOD, "word " * 10_000)[0] == 0
    assert "sentence 2 was cut after 64 tokens" in caplog.text


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"\n", "no sentences"),
        (b"He runs.\n\xff\n", "line 2 of standard input is not UTF-8"),
        (b"\nHe runs.\n", "line 1 of standard input is blank"),
    ],
)
def test_bad_standard_input_is_refused(judge, stdin, message):
    code, out, err = judge(stdin=stdin)
    assert (code, out) == (2, "")
    assert message in err


def test_a_missing_model_or_tokenizer_says_how_to_make_one(copy):
    for path in (copy.parent / "tokenizer.json", copy):
        path.unlink()
        with pytest.raises(InputError, match=f'{path.name} not found: run "python convert_model_to_onnx.py" first'):
            ColaONNXPredictor(copy)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(flipped, id="one bit"),
        pytest.param(lambda content: content[: len(content) // 2], id="half a download"),
        pytest.param(lambda content: content[:-1], id="last byte missing"),
        pytest.param(lambda content: content + b"\n", id="a byte more"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: b"<html>", id="a web page"),
    ],
)
def test_a_damaged_model_is_refused(copy, damage):
    copy.write_bytes(damage(copy.read_bytes()))
    with pytest.raises(InputError, match=r"model\.onnx is damaged.*convert_model_to_onnx"):
        ColaONNXPredictor(copy)


def test_a_tokenizer_of_another_model_is_refused(copy):
    tokenizer = copy.parent / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"max_length": 64', '"max_length": 65'))
    with pytest.raises(InputError, match=r"tokenizer\.json is not the tokenizer of .*convert_model_to_onnx"):
        ColaONNXPredictor(copy)


def test_the_command_ends_with_the_cure_and_no_traceback(command):
    result = command("inference_onnx.py", "He runs.")
    assert result.returncode == 2
    assert result.stdout == b""
    assert result.stderr.decode().splitlines() == [
        'error: models/model.onnx not found: run "python convert_model_to_onnx.py" first'
    ]
