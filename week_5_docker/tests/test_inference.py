import json

import numpy as np
import pytest
import torch

from conftest import BAD, GOOD
from errors import InputError, friendly_errors
from inference import ColaPredictor, main


@pytest.fixture(scope="module")
def predictor(checkpoint):
    return ColaPredictor(checkpoint)


@pytest.fixture
def judge(cli, checkpoint):
    """Run inference.py with the checkpoint of the tests."""
    return lambda *arguments, **options: cli(main, "--checkpoint", checkpoint, *arguments, **options)


def test_a_score_does_not_depend_on_the_other_sentences(predictor):
    sentences = [GOOD, "Go!", BAD, "The very old teacher that the boys saw " * 3 + "smiled."]
    together = predictor.logits(sentences)
    alone = np.concatenate([predictor.logits([sentence]) for sentence in sentences])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_answers_come_in_the_order_of_the_sentences(predictor):
    sentences = [f"{'very ' * (i % 7)}old dogs bark {i}." for i in range(150)]
    assert [p["sentence"] for p in predictor.predict(sentences)] == sentences
    np.testing.assert_allclose(predictor.logits(sentences)[::-1], predictor.logits(sentences[::-1]), atol=1e-5)


def test_the_label_follows_from_the_score(predictor):
    for prediction in predictor.predict([GOOD, BAD, "bench a on", "The boys sleep."]):
        assert prediction["label"] == ("acceptable" if prediction["score"] >= 0.5 else "unacceptable")


def test_json_is_one_object_a_line(judge):
    code, out, _ = judge("--json", GOOD, "Ein Bär schläft. 🐻")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["sentence"] for line in lines] == [GOOD, "Ein Bär schläft. 🐻"]
    assert all(set(line) == {"sentence", "label", "score"} and 0 <= line["score"] <= 1 for line in lines)


@pytest.mark.parametrize("blank", ["", "   ", "\t"])
def test_a_blank_sentence_is_refused_by_its_number(judge, blank):
    code, out, err = judge(GOOD, blank)
    assert (code, out) == (2, "")
    assert "sentence 2 is blank" in err


def test_a_sentence_that_is_not_utf8_is_refused_by_its_number(judge):
    code, _, err = judge(GOOD, b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert code == 2
    assert "sentence 2 is not UTF-8" in err


def test_a_sentence_that_is_cut_is_said_so(judge, caplog):
    assert judge(GOOD, "word " * 10_000)[0] == 0
    assert "sentence 2 was cut after 64 tokens" in caplog.text


def test_sentences_come_from_standard_input_one_a_line(judge):
    code, out, _ = judge(stdin=f"{GOOD}\r\n{BAD}\n\n \r\n".encode())  # blank lines at the end do not count
    assert code == 0
    assert [line.split("  ")[-1] for line in out.splitlines()] == [GOOD, BAD]


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"", "no sentences"),
        (b"\n", "no sentences"),
        (b"He runs.\n\xff\n", "line 2 of standard input is not UTF-8"),
        (b"He runs.\n\nHe ran.\n", "line 2 of standard input is blank"),
    ],
)
def test_bad_standard_input_is_refused(judge, stdin, message):
    code, out, err = judge(stdin=stdin)
    assert (code, out) == (2, "")
    assert message in err


def test_a_file_is_not_judged_by_its_name(judge, tmp_path):
    (tmp_path / "sentences.txt").write_text(GOOD)
    code, out, err = judge(GOOD, str(tmp_path / "sentences.txt"))
    assert (code, out) == (2, "")
    assert "sentences.txt is a file: to judge its lines, put < before it" in err


def test_a_missing_checkpoint_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match='not found: run "python train.py" first'):
        ColaPredictor(tmp_path / "best-checkpoint.ckpt")


def test_a_folder_is_not_taken_for_a_missing_checkpoint(tmp_path):
    with pytest.raises(InputError, match="is a folder: name a file in it"):
        ColaPredictor(tmp_path)


def test_a_damaged_checkpoint_is_refused_in_one_line(checkpoint, tmp_path):
    for name, content in {"half": checkpoint.read_bytes()[:50_000], "empty": b"", "text": b"not a checkpoint"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} is not a checkpoint of this project, or is damaged: run [^\n]*$"):
            ColaPredictor(tmp_path / name)


def test_a_checkpoint_of_another_model_is_refused(checkpoint, tmp_path):
    torch.save(
        {"state_dict": {}, "hyper_parameters": {"hidden": 3}, "pytorch-lightning_version": "2.6.0"}, tmp_path / "a"
    )
    with pytest.raises(InputError, match="not a checkpoint of this project"):
        ColaPredictor(tmp_path / "a")
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["config"]["hidden_size"] *= 2
    torch.save(content, tmp_path / "b")
    with pytest.raises(InputError, match="not a checkpoint of this project"):
        ColaPredictor(tmp_path / "b")


def test_a_path_that_cannot_be_used_is_named_with_its_cure(tmp_path, capsys):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(SystemExit) as exit, friendly_errors():
        path.mkdir()
    assert exit.value.code == 2
    err = f"error: {path} cannot be used (File exists): choose another path, or mend this one\n"
    assert capsys.readouterr().err == err
