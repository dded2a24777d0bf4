import functools
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time

import numpy as np
import onnx
import pytest
from filelock import FileLock

import batch
from conftest import BUNDLED, WEEK
from convert_model_to_onnx import INPUTS, seal
from errors import InputError
from inference_onnx import ColaONNXPredictor
from sentences import LABELS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The smallest model there can be: its logits are the mean token id, divided by 100, and 1."""
    h, folder = onnx.helper, tmp_path_factory.mktemp("micro")
    inputs = [h.make_tensor_value_info(name, onnx.TensorProto.INT64, ["B", "T"]) for name in INPUTS]
    logits = h.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["B", 2])
    constants = {"last": np.array([-1]), "hundred": np.float32(100), "zero": np.float32(0)}
    nodes = [
        h.make_node("Mul", ["input_ids", "attention_mask"], ["masked"]),
        h.make_node("ReduceSum", ["masked", "last"], ["sum"], keepdims=1),
        h.make_node("ReduceSum", ["attention_mask", "last"], ["tokens"], keepdims=1),
        h.make_node("Cast", ["sum"], ["float_sum"], to=onnx.TensorProto.FLOAT),
        h.make_node("Cast", ["tokens"], ["float_tokens"], to=onnx.TensorProto.FLOAT),
        h.make_node("Div", ["float_sum", "float_tokens"], ["mean"]),
        h.make_node("Div", ["mean", "hundred"], ["first"]),
        h.make_node("Mul", ["mean", "zero"], ["nothing"]),
        h.make_node("Exp", ["nothing"], ["second"]),
        h.make_node("Concat", ["first", "second"], ["logits"], axis=1),
    ]
    values = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = h.make_graph(nodes, "micro", inputs, [logits], values)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=10), folder / "model.onnx")
    tokenizer = (BUNDLED / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(tokenizer)
    metadata = {
        "labels": json.dumps(LABELS), "max_length": "128", "pad_id": "0", "precision": "fp32", "provenance": "{}",
        "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
    }  # fmt: skip
    seal(folder / "model.onnx", metadata)
    return folder / "model.onnx"


def write(path, lines: int):
    """Different sentences of different lengths, of which each thousandth is blank or not UTF-8."""
    with path.open("wb") as file:
        for i in range(lines):
            bad = b"" if i % 2000 else b"caf\xe9"
            file.write((f"the {'old ' * (i % 9)}dogs bark {i}".encode() if i % 1000 else bad) + b"\n")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write(tmp_path_factory.mktemp("in") / "sentences.txt", 5000)


@pytest.fixture(scope="module")
def whole(source, model, tmp_path_factory) -> bytes:
    """What a run that nothing interrupts writes."""
    output = tmp_path_factory.mktemp("out") / "scores.jsonl"
    batch.score_file(source, output, model)
    assert list(output.parent.iterdir()) == [output]
    return output.read_bytes()


def begin(source, model, *arguments, **options) -> subprocess.Popen:
    """Run the command that scores a file."""
    command = [sys.executable, WEEK / "inference_onnx.py", "--model", model, "--file", source, *arguments]
    return subprocess.Popen(command, **options)


def test_line_for_line_it_is_what_the_predictor_says(source, model, whole):
    lines, found = source.read_bytes().splitlines(), [json.loads(line) for line in whole.splitlines()]
    good = [i for i in range(5000) if i % 1000]
    assert [found[i] for i in good] == ColaONNXPredictor(model).predict([lines[i].decode() for i in good])


def test_a_bad_line_is_an_error_in_its_place_and_does_not_stop_the_rest(source, model, whole, tmp_path, capsys):
    found = [json.loads(line) for line in whole.splitlines()]
    assert found[1000] == {"sentence": "", "error": "blank"}
    assert found[2000] == {"sentence": "caf\ufffd", "error": "not UTF-8"}
    batch.score_file(source, tmp_path / "out", model)
    assert "5,000 lines, 5 of them with an error" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\n", b"He runs.", b"He runs.\r\n", b'say "error": now\n'])
def test_small_files(model, tmp_path, content, capsys):
    (tmp_path / "in").write_bytes(content)
    batch.score_file(tmp_path / "in", tmp_path / "out", model)
    found = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [one["sentence"] for one in found] == content.decode().splitlines()
    errors = int(content == b"\n")
    assert f"{len(found)} lines, {errors} of them with an error" in capsys.readouterr().err


def test_after_a_kill_the_same_command_gives_the_same_bytes(model, tmp_path):
    source = write(tmp_path / "in", 40_000)
    batch.score_file(source, tmp_path / "whole", model)
    with begin(source, model, "--output", tmp_path / "out") as process:
        while process.poll() is None and not any(part.stat().st_size for part in tmp_path.glob("out.*.part")):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    (part,) = tmp_path.glob("out.*.part")
    assert 0 < part.stat().st_size < (tmp_path / "whole").stat().st_size
    with begin(source, model, "--output", tmp_path / "out") as process:
        pass
    assert process.returncode == 0
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("torn", [b"", b'{"sentence": "half a li'])
@pytest.mark.parametrize("lines", [0, 1, batch.CHUNK - 1, batch.CHUNK, batch.CHUNK + 1, 4 * batch.CHUNK, 5000])
def test_it_goes_on_after_the_last_whole_chunk(source, model, whole, tmp_path, lines, torn):
    """What was finished is not done again: a mark that is left there stays."""
    begun = [b"a mark\n", *whole.splitlines(keepends=True)[1:]][:lines]
    part = tmp_path / f"out.{batch.identity(source, model)}.part"
    part.write_bytes(b"".join(begun) + torn)
    batch.score_file(source, tmp_path / "out", model)
    found = (tmp_path / "out").read_bytes().splitlines()
    assert found[1:] == whole.splitlines()[1:]
    assert (found[0] == b"a mark") == (lines >= batch.CHUNK)


def test_what_was_begun_with_another_input_is_not_continued(source, model, tmp_path):
    (tmp_path / "out.0123456789ab.part").write_bytes(b"{}\n")
    with pytest.raises(InputError, match=r"out\.0123456789ab\.part was begun with another input or model: delete"):
        batch.score_file(source, tmp_path / "out", model)


def test_a_second_run_into_the_same_output_is_refused(source, model, tmp_path):
    out = tmp_path / "out"
    with FileLock(tmp_path / "out.lock"), begin(source, model, "--output", out, stderr=subprocess.PIPE) as process:
        err = process.communicate()[1].decode()
    assert process.returncode == 2
    assert err == f"error: {out} is being written by another run: wait for it, or choose another --output\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "out.lock"]
    batch.score_file(source, out, model)  # a lock that a kill left there holds nobody up, and is cleared away
    assert list(tmp_path.iterdir()) == [out]


def test_an_output_with_more_lines_than_the_input_is_refused(source, model, tmp_path):
    part = tmp_path / f"out.{batch.identity(source, model)}.part"
    part.write_bytes(b"{}\n" * 6 * batch.CHUNK)
    with pytest.raises(InputError, match=r"\.part has not as many lines as .*: delete it and give the same command"):
        batch.score_file(source, tmp_path / "out", model)


def test_another_input_or_model_is_another_identity(source, model, exported, tmp_path):
    (tmp_path / "more").write_bytes(source.read_bytes() + b"One more.\n")
    places = [(source, model), (tmp_path / "more", model), (source, exported / "model.onnx")]
    assert len({batch.identity(*place) for place in places}) == 3


def test_places_that_cannot_be_used_are_refused(source, model, tmp_path):
    (tmp_path / "there").touch()
    for place, output, message in (
        (tmp_path / "no", tmp_path / "out", "no is not a file"),
        (tmp_path, tmp_path / "out", "is not a file"),
        (source, tmp_path / "there", "there is there already"),
        (source, source, "is the file that is read"),
        (source, tmp_path / "no" / "out", "no is not a folder"),
        (source, tmp_path, "is a folder: give --output the name of a file"),
    ):
        with pytest.raises(InputError, match=message):
            batch.score_file(place, output, model)


def test_a_terminal_shows_progress(source, model, tmp_path):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with begin(source, model, "--output", tmp_path / "out", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the terminal is closed
                break
    os.close(ours)
    assert process.returncode == 0
    assert re.search(rb"100%.*\d+k/\d+k", shown)


def test_ten_times_the_lines_take_the_same_memory(model, tmp_path):
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(WEEK)!r})
        import batch
        from pathlib import Path
        batch.score_file(Path(sys.argv[1]), Path(sys.argv[1] + ".out"), Path({str(model)!r}))
        print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
    """
    if not os.path.exists("/proc/self/status"):
        pytest.skip("peak memory is read from /proc")
    peak_kib = {}
    for lines in (20_000, 200_000):
        source = write(tmp_path / f"{lines}", lines)
        peak_kib[lines] = int(subprocess.check_output([sys.executable, "-c", code, source], stderr=subprocess.DEVNULL))
    size_kib = (tmp_path / "200000").stat().st_size / 1024
    # Python adds 33 bytes to each of these lines of 36: keeping them all would take twice the size of the file or more.
    assert peak_kib[200_000] - peak_kib[20_000] < 1.5 * size_kib


def test_without_ray_the_cure_is_named(source, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install -r requirements_ray\.txt"):
        batch.score_file(source, tmp_path / "out", model, ray=True)


def test_two_workers_of_ray_write_what_one_process_writes(source, model, whole, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    sizes, pool = [], ray.data.ActorPoolStrategy
    monkeypatch.setattr(ray, "init", functools.partial(ray.init, num_cpus=2))
    monkeypatch.setattr(ray.data, "ActorPoolStrategy", lambda size: sizes.append(size) or pool(size=size))
    monkeypatch.setenv("PYTHONPATH", str(WEEK))
    part = tmp_path / f"out.{batch.identity(source, model)}.part"  # a killed run left one whole file and half of one
    part.mkdir()
    lines = whole.splitlines(keepends=True)
    (part / "part-0000001.jsonl").write_bytes(b"".join([b"a mark\n", *lines[batch.CHUNK + 1 : 2 * batch.CHUNK]]))
    (part / "part-0000002.4711").write_bytes(lines[0][:10])
    batch.score_file(source, tmp_path / "out", model, ray=True)
    assert sizes == [2]
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == [f"part-{number:07}.jsonl" for number in range(5)]
    found = b"".join(path.read_bytes() for path in files).splitlines(keepends=True)
    assert found[batch.CHUNK] == b"a mark\n"
    found[batch.CHUNK] = lines[batch.CHUNK]
    assert found == lines
