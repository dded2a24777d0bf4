import os

import pytest

import sources
from conftest import options
from errors import InputError
from sources import BUNDLED, HUB_DATASET, HUB_MODEL, HUB_TIMEOUT_S, REVISIONS, Sources, resolve


def test_bundled_needs_no_network(monkeypatch):
    monkeypatch.setattr(sources, "_hub_answers", lambda: pytest.fail("asked the network"))
    assert resolve("bundled") == Sources(BUNDLED, BUNDLED)


def test_folders_on_disk_need_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "_hub_answers", lambda: pytest.fail("asked the network"))
    assert resolve("auto", data=str(tmp_path), model=str(BUNDLED)) == Sources(tmp_path, BUNDLED)


@pytest.mark.parametrize(
    ("answers", "expected"), [(True, Sources(HUB_DATASET, HUB_MODEL)), (False, Sources(BUNDLED, BUNDLED))]
)
def test_auto_takes_the_hub_if_it_answers_and_says_so_in_one_line(monkeypatch, capsys, answers, expected):
    monkeypatch.setattr(sources, "_is_cached", lambda repository: False)
    monkeypatch.setattr(sources, "_hub_answers", lambda: answers)
    assert resolve("auto") == expected
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert sources.option("source", "hub|bundled") in said.err


def test_what_the_user_gave_is_said_beside_what_was_found(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sources, "_hub_answers", lambda: False)
    resolve("auto", data=str(tmp_path))
    found = f"the bundled stand-ins (no Hugging Face Hub within {HUB_TIMEOUT_S} s)"
    assert f"source: the encoder from {found}, the data from {tmp_path.name}/; choose" in capsys.readouterr().err
    resolve("auto", model="bundled")
    assert f"source: the data from {found}, the encoder from bundled; choose" in capsys.readouterr().err


@pytest.mark.parametrize("files", [[], ["config.json"], ["tokenizer.json"]])
def test_a_folder_without_an_encoder_is_refused(tmp_path, files):
    for name in files:
        (tmp_path / name).write_bytes((BUNDLED / name).read_bytes())
    with pytest.raises(InputError, match="holds no encoder: it needs config.json, tokenizer.json or vocab.txt"):
        resolve(model=str(tmp_path))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"data": "no/such/folder"}, "data folder no/such/folder not found"),
        ({"model": "./nothing"}, "model ./nothing is neither a folder nor a name on the"),
        ({"model": "nothing"}, "neither a folder nor a name"),
        ({"model": __file__}, "is a file: give the folder of an encoder"),
        (
            {"source": "bundled", "model": "google/electra-small-discriminator"},
            "is no folder; if it is on the Hugging Face Hub: use " + sources.option("source", "hub"),
        ),
    ],
)
def test_a_place_that_is_not_there_is_named(choice, message):
    with pytest.raises(InputError, match=message):
        resolve(**choice)


def test_hub_without_a_network_ends_in_seconds_with_the_cure(command):
    def processor_s(*arguments):  # a busy machine must not fail the test
        before = os.times()
        run = command("train.py", *arguments)
        after = os.times()
        return run, after.children_user + after.children_system - before.children_user - before.children_system

    _, imports_s = processor_s("--help")
    run, all_s = processor_s(*options(source="hub"))
    assert run.returncode == 2
    assert run.stderr.decode().rstrip().endswith(" ".join(options(source="bundled")))  # the cure can be typed as it is
    assert b"Traceback" not in run.stderr
    assert all_s - imports_s + HUB_TIMEOUT_S < 6


def test_provenance_pins_what_was_used(tmp_path):
    hub = Sources(HUB_DATASET, HUB_MODEL).provenance()
    assert (hub["source"], hub["data_revision"], hub["model_revision"]) == (
        "hub",
        REVISIONS[HUB_DATASET],
        REVISIONS[HUB_MODEL],
    )
    bundled = Sources(BUNDLED, BUNDLED).provenance()
    assert (bundled["source"], bundled["data"]) == ("bundled", "bundled")
    for split in ("train", "validation"):
        (tmp_path / f"{split}.csv").write_text("sentence,label\nHe runs.,1\n")
    before = Sources(tmp_path, BUNDLED).provenance()["data_revision"]
    (tmp_path / "train.csv").write_text("sentence,label\nHe run.,0\n")
    assert Sources(tmp_path, BUNDLED).provenance()["data_revision"] != before
