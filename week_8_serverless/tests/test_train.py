import io
import os
import resource
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pytest
import torch
from filelock import FileLock

from callbacks import AtomicCheckpointIO, EpochReport
from conftest import BUNDLED, RESUME, WEEK, options
from errors import InputError


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / "best-checkpoint.ckpt", weights_only=True)["state_dict"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_one_seed_repeats_and_two_seeds_differ(train, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(tmp_path / name, seed=seed, epochs=1)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_results_stand_beside_the_majority_baseline(train, small, tmp_path):
    results = train(tmp_path, epochs=1)
    labels = [pd.read_csv(small / f"{split}.csv")["label"] for split in ("train", "validation")]
    assert results["majority"]["accuracy"] == pytest.approx((labels[1] == labels[0].mode()[0]).mean(), abs=1e-4)
    assert results["majority"]["mcc"] == 0
    assert 0 <= results["model"]["accuracy"] <= 1


def test_the_checkpoint_says_where_it_comes_from(checkpoint):
    provenance = torch.load(checkpoint, weights_only=True)["hyper_parameters"]["provenance"]
    assert provenance["source"] == "bundled"
    assert provenance["data_revision"].startswith("sha256:")
    expected = {"epochs": 2, "batch_size": 32, "learning_rate": 1e-3, "max_length": 64, "patience": 5, "seed": 0}
    assert provenance["settings"].items() >= expected.items()


def test_a_resumed_run_equals_an_uninterrupted_one(train, tmp_path, monkeypatch):
    def interrupt(self, trainer, *_):
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt

    whole = train(tmp_path / "whole", epochs=4)
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(EpochReport, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt, match=RESUME):
            train(tmp_path / "parts", epochs=4)
    signal.signal(signal.SIGINT, handler)  # Lightning has switched it off
    assert train(tmp_path / "parts", epochs=4, resume=True) == whole
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert pd.read_csv(tmp_path / "parts" / "reports" / "history.csv")["epoch"].tolist() == [1, 2, 3, 4]


def test_an_earlier_runs_checkpoint_is_not_offered_for_resuming(train, tmp_path, monkeypatch):
    def interrupt(self, *_):
        raise KeyboardInterrupt

    (tmp_path / "last.ckpt").write_bytes(b"of an earlier run")
    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(EpochReport, "on_train_batch_end", interrupt)
    with pytest.raises(KeyboardInterrupt, match=f"no epoch was saved yet, .* start again without {RESUME}"):
        train(tmp_path)
    signal.signal(signal.SIGINT, handler)  # Lightning has switched it off
    assert (tmp_path / "last.ckpt").is_file()


def test_ctrl_c_keeps_the_last_checkpoint_and_resume_goes_on(tmp_path, small):
    arguments = [sys.executable, WEEK / "train.py", *options(source="bundled", data=small, epochs=12, patience=12)]
    with subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("epoch 2/"):
                process.send_signal(signal.SIGINT)
                break
        errors = process.stderr.read()
    assert process.returncode == 130
    assert RESUME in errors
    assert "Traceback" not in errors
    assert (tmp_path / "models" / "last.ckpt").is_file()
    run = subprocess.run([*arguments, RESUME], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0
    assert "epoch 3/12" in run.stderr or "epoch 4/12" in run.stderr
    assert "epoch 1/12" not in run.stderr
    assert not (tmp_path / "models" / "last.ckpt").exists()


def test_resume_needs_an_interrupted_run(train, tmp_path):
    with pytest.raises(InputError, match="no interrupted run"):
        train(tmp_path, resume=True)


def test_resume_refuses_other_settings_and_damage(train, checkpoint, tmp_path):
    last = tmp_path / "last.ckpt"
    last.write_bytes(checkpoint.read_bytes())
    with pytest.raises(InputError, match="trained with batch_size 32, not 16"):
        train(tmp_path, resume=True, batch_size=16)
    content = torch.load(checkpoint, weights_only=True)
    del content["hyper_parameters"]["provenance"]["data_revision"]  # as in a checkpoint of another program
    torch.save(content, last)
    with pytest.raises(InputError, match="trained with data_revision None"):
        train(tmp_path, resume=True)
    for damage in (checkpoint.read_bytes()[:1000], b""):
        last.write_bytes(damage)
        with pytest.raises(InputError, match="is damaged"):
            train(tmp_path, resume=True)


def test_a_training_that_has_gone_astray_is_stopped(train, tmp_path):
    with pytest.raises(InputError, match="train/loss is nan after epoch 1: lower the learning rate"):
        train(tmp_path, epochs=1, learning_rate=1e30)


def test_what_cannot_work_is_refused_before_the_training(train, small, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        train(tmp_path / "file" / "models")
    with pytest.raises(InputError, match="leaves no room"):
        train(tmp_path, max_length=2)
    with pytest.raises(InputError, match="128 positions"):
        train(tmp_path, max_length=500)
    shutil.copytree(small, tmp_path / "data")
    shutil.copy(BUNDLED / "phenomena.json", tmp_path / "data")
    with pytest.raises(InputError, match=r"phenomena.json speaks of more rows"):
        train(tmp_path, data=tmp_path / "data")
    for damaged in ("{", "[]", '{"validation": [{}]}'):
        (tmp_path / "data" / "phenomena.json").write_text(damaged)
        with pytest.raises(InputError, match=r"phenomena.json does not look like"):
            train(tmp_path, data=tmp_path / "data")


def test_a_full_disk_leaves_the_old_checkpoint_whole(command, small, checkpoint, tmp_path):
    best = tmp_path / "models" / "best-checkpoint.ckpt"
    best.parent.mkdir()
    best.write_bytes(checkpoint.read_bytes())

    def no_room():  # files of more than 100 kB cannot be written, as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    run = command("train.py", *options(source="bundled", data=small, epochs=1), preexec_fn=no_room)
    assert run.returncode == 2
    assert b"free some space" in run.stderr
    assert best.read_bytes() == checkpoint.read_bytes()
    assert set(os.listdir(best.parent)) <= {best.name, ".lock"}


def test_ctrl_c_while_a_checkpoint_is_written_is_no_full_disk(tmp_path, monkeypatch):
    class Interrupted(io.BytesIO):
        writes = 0

        def write(self, data):
            self.writes += 1
            if self.writes == 3:
                raise KeyboardInterrupt
            return super().write(data)

    save = torch.save
    monkeypatch.setattr(torch, "save", lambda checkpoint, file: save(checkpoint, Interrupted()))
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(9)}, tmp_path / "last.ckpt")
    assert not os.listdir(tmp_path)


def test_two_runs_into_one_folder_are_refused(train, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(InputError, match="another run is training into"):
        train(tmp_path)
