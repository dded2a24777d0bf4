"""The pipeline and its remotes, by the real `dvc` and `git`, in copies of the week with a small corpus."""

import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from conftest import WEEK

MODEL = Path("models/best-checkpoint.ckpt")
STAGES = yaml.safe_load((WEEK / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
OUTPUTS = [output if isinstance(output, dict) else {output: {}}
           for stage in STAGES.values() for kind in ("outs", "plots") for output in stage.get(kind, [])]  # fmt: skip
KEPT = [path for output in OUTPUTS for path, options in output.items() if options.get("cache", True)]  # by DVC
NOT_COPIED = ("__pycache__", ".pytest_cache", ".venv", "models", "reports", "wandb", "outputs", "multirun",
              "cache", "storage", "tmp", "config.local", "dvc.lock", "settings.yaml")  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def machine(tmp_path_factory):
    """A machine of its own: without a user's settings of git, DVC or AWS, and with this Python's commands first."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("DVC_", "GIT_", "AWS_"))]:
            patch.delenv(name)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "A Reader")
            patch.setenv(f"GIT_{role}_EMAIL", "reader@example.com")
        for name in ("HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
            patch.setenv(name, str(home))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield


def run(folder: Path, *command: str, code: int = 0) -> str:
    """Run a command, which must end with this exit code, and return all that it printed."""
    result = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == code, result.stdout
    return result.stdout


def dvc(folder: Path, *arguments: str, code: int = 0) -> str:
    return run(folder, "dvc", *arguments, code=code)


def stages_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of every file that DVC keeps."""
    return {path: (folder / path).read_bytes() for path in KEPT}


def wipe(folder: Path) -> None:
    """As in a new clone: no cache, no models, no plots."""
    shutil.rmtree(folder / ".dvc/cache")
    for path in KEPT:
        (folder / path).unlink()


def edit(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")


def commit(folder: Path, tag: str) -> None:
    run(folder, "git", "add", ".")
    run(folder, "git", "commit", "-qm", tag)
    run(folder, "git", "tag", tag)


@pytest.fixture(scope="module")
def history(small, tmp_path_factory) -> Path:
    """A copy in which two experiments were run and kept, as the tags `model-first` and `model-second`."""
    folder = tmp_path_factory.mktemp("week") / "classifier"
    shutil.copytree(WEEK, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for split in ("train", "validation"):
        shutil.copy(small / f"{split}.csv", folder / "bundled")
    (folder / "bundled" / "phenomena.json").unlink()  # it counts the rows of the whole corpus
    edit(folder, "params.yaml", "training: default", "training: debug")
    edit(folder, "configs/training/debug.yaml", "batches: 0.1", "batches: 1.0")
    run(folder, "git", "init", "-q")
    commit(folder, "start")
    for name, overrides in (("first", "seed=0"), ("second", "seed=1 training.epochs=1")):
        (folder / "README.md").write_text(f"changed, but not committed, before the {name} experiment")
        printed = dvc(folder, "exp", "run", "-n", name, "-S", f"overrides='{overrides}'")
        assert set(stages_run(printed)) == set(STAGES)
        commit(folder, f"model-{name}")
    return folder


@pytest.fixture
def copy(history, tmp_path) -> Path:
    """A copy of that history, to be changed."""
    return Path(shutil.copytree(history, tmp_path / "classifier", symlinks=True))


def test_what_was_pushed_comes_back_byte_for_byte(copy):
    before = outputs(copy)
    assert str(MODEL) in before
    dvc(copy, "push")
    wipe(copy)
    dvc(copy, "pull")
    assert outputs(copy) == before
    assert "up to date" in dvc(copy, "status")


def test_a_clone_of_the_repository_gets_the_model_from_the_remote(copy, tmp_path):
    dvc(copy, "push")
    run(tmp_path, "git", "clone", "-q", str(copy), "clone")
    shutil.copytree(copy / ".dvc/storage", tmp_path / "clone/.dvc/storage")
    dvc(tmp_path / "clone", "pull")
    assert outputs(tmp_path / "clone") == outputs(copy)


def test_without_git_it_works_after_one_setting(copy):
    before = outputs(copy)
    shutil.rmtree(copy / ".git")
    assert "is not a git repository" in dvc(copy, "pull", code=255)
    dvc(copy, "config", "--local", "core.no_scm", "true")
    dvc(copy, "push")
    wipe(copy)
    dvc(copy, "pull")
    assert outputs(copy) == before
    assert stages_run(dvc(copy, "repro")) == []


def test_in_a_folder_of_a_larger_repository_nothing_needs_to_be_set(copy, tmp_path):
    shutil.rmtree(copy / ".git")
    run(tmp_path, "git", "init", "-q")
    commit(tmp_path, "the-course")
    assert stages_run(dvc(copy, "repro")) == []
    assert run(tmp_path, "git", "status", "--short") == ""


def test_an_s3_remote_keeps_the_model_too(copy, monkeypatch):
    before = outputs(copy)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        s3 = boto3.client("s3", endpoint_url=endpoint)
        s3.create_bucket(Bucket="models")
        dvc(copy, "remote", "add", "--default", "s3", "s3://models/cola")
        dvc(copy, "remote", "modify", "--local", "s3", "endpointurl", endpoint)
        dvc(copy, "push")
        kept = {s3.get_object(Bucket="models", Key=entry["Key"])["Body"].read()
                for entry in s3.list_objects_v2(Bucket="models", Prefix="cola/")["Contents"]}  # fmt: skip
        assert kept == set(before.values())
        wipe(copy)
        dvc(copy, "pull")
    finally:
        server.stop()
    assert outputs(copy) == before


def test_an_older_model_comes_back_by_its_tag(copy):
    new = (copy / MODEL).read_bytes()
    run(copy, "git", "checkout", "-q", "model-first", "--", ".")
    dvc(copy, "checkout")
    assert (copy / MODEL).read_bytes() != new
    old = yaml.safe_load(run(copy, "git", "show", "model-first:dvc.lock"))["stages"]["train"]["outs"][0]
    assert old["path"] == str(MODEL)
    assert hashlib.md5((copy / MODEL).read_bytes()).hexdigest() == old["md5"]
    assert "up to date" in dvc(copy, "status")
    run(copy, "git", "checkout", "-q", "model-second", "--", ".")
    dvc(copy, "checkout")
    assert (copy / MODEL).read_bytes() == new


def test_experiments_stand_beside_each_other_with_what_was_changed(history):
    rows = csv.DictReader(io.StringIO(dvc(history, "exp", "show", "--csv", "--all-commits")))
    trained = {row["Experiment"]: row for row in rows if row["Experiment"]}
    assert set(trained) == {"first", "second"}
    for name, seed, epochs in (("first", "0", "2"), ("second", "1", "1")):
        metrics = json.loads(run(history, "git", "show", f"model-{name}:reports/evaluate/metrics.json"))
        assert float(trained[name]["model.accuracy"]) == metrics["model"]["accuracy"]
        assert (trained[name]["seed"], trained[name]["training.epochs"]) == (seed, epochs)


def test_metrics_and_settings_of_two_models_are_compared(history):
    changed = json.loads(dvc(history, "metrics", "diff", "model-first", "--all", "--json"))
    metrics = changed["reports/evaluate/metrics.json"]
    for tag, key in (("model-first", "old"), ("model-second", "new")):
        expected = json.loads(run(history, "git", "show", f"{tag}:reports/evaluate/metrics.json"))
        assert metrics["model.accuracy"][key] == expected["model"]["accuracy"]
    settings = json.loads(dvc(history, "params", "diff", "model-first", "--json"))["settings.yaml"]
    assert {key: (value["old"], value["new"]) for key, value in settings.items()} == {
        "seed": (0, 1),
        "training.epochs": (2, 1),
    }


def test_a_key_that_shapes_no_model_trains_none(copy):
    edit(copy, "configs/training/default.yaml", "accelerator: auto", "accelerator: cpu")
    assert stages_run(dvc(copy, "repro")) == ["settings"]


def test_a_key_that_shapes_the_model_trains_it_anew(copy):
    edit(copy, "configs/training/default.yaml", "weight_decay: 0.01", "weight_decay: 0.02")
    assert stages_run(dvc(copy, "repro", "settings")) == ["settings"]
    changed = json.loads(dvc(copy, "status", "--json"))
    assert {"changed deps": {"settings.yaml": {"training.weight_decay": "modified"}}} in changed["train"]
    assert "settings" not in changed


def test_the_pipeline_watches_all_code_that_a_stage_imports():
    show = "import sys, pathlib as p; print(*[m for m in sys.modules if p.Path(m + '.py').is_file()])"
    for stage in STAGES.values():
        script = stage["cmd"].split()[1]
        modules = run(WEEK, sys.executable, "-c", f"import {Path(script).stem}; {show}").splitlines()[-1].split()
        imported = {f"{module}.py" for module in modules}
        # config.py acts by way of settings.yaml; errors.py only shows messages
        watched = {dependency for dependency in stage["deps"] if dependency.endswith(".py")}
        assert imported - {"config.py", "errors.py"} == watched - {"config.py"}, script


def test_every_recorded_setting_is_watched(history):
    """`recorded` in train.py says which settings shape a model."""
    import torch

    provenance = torch.load(history / MODEL, weights_only=True)["hyper_parameters"]["provenance"]
    watched = yaml.safe_load((history / "dvc.lock").read_text())["stages"]["train"]["params"]["settings.yaml"]
    names = {key.split(".")[-1] for key in watched} | set(watched["processing"]) | set(watched["model"])
    assert set(provenance["settings"]) <= names


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("params.yaml", "model: bundled", "model: bundeld", "Could not find 'model/bundeld'"),
        ("params.yaml", "seed=1", "sed=1", "Key 'sed' not in 'Config'"),
        ("configs/training/default.yaml", "patience: 5 ", "patience: 0 ", "training.patience=0: give a number above 0"),
    ],
)
def test_a_wrong_setting_stops_before_anything_is_trained(copy, file, old, new, message):
    before = (copy / MODEL).read_bytes()
    edit(copy, file, old, new)
    assert message in dvc(copy, "repro", code=255)
    assert (copy / MODEL).read_bytes() == before


def test_a_pull_before_any_push_names_what_is_missing(copy):
    wipe(copy)
    message = dvc(copy, "pull", code=1)
    assert "Some of the cache files do not exist neither locally nor on remote" in message
    assert str(MODEL) in message.split("Checkout failed for following targets:")[1]


def test_a_damaged_file_in_the_remote_is_not_taken_for_the_model(copy):
    dvc(copy, "push")
    md5 = hashlib.md5((copy / MODEL).read_bytes()).hexdigest()
    (stored,) = (copy / ".dvc/storage").rglob(f"{md5[:2]}/{md5[2:]}")
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    wipe(copy)
    assert "failed to pull data" in dvc(copy, "pull", code=1)
    assert not (copy / MODEL).exists()


def test_ctrl_c_leaves_a_pipeline_that_can_be_run_again(copy):
    edit(copy, "params.yaml", "seed=1 training.epochs=1", "seed=2 training.epochs=60 training.patience=60")
    with subprocess.Popen(["dvc", "repro"], cwd=copy, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                          start_new_session=True) as process:  # fmt: skip
        for line in process.stderr:
            if line.startswith("epoch 1/"):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes in the foreground
                break
        errors = process.stderr.read()
    assert process.returncode == 255
    assert "failed to reproduce 'train'" in errors
    changed = json.loads(dvc(copy, "status", "--json"))
    assert "train" in changed
    assert "settings" not in changed
    run(copy, "git", "checkout", "-q", ".")
    dvc(copy, "checkout", "--force")
    assert stages_run(dvc(copy, "repro")) == []


def test_the_first_steps_by_hand(tmp_path):
    for command in ("git init -q", "dvc init -q", "dvc remote add -d store .dvc/store"):
        run(tmp_path, *command.split())
    file = tmp_path / "model.bin"
    file.write_bytes(b"first")
    dvc(tmp_path, "add", "model.bin")
    dvc(tmp_path, "push")
    commit(tmp_path, "v1")
    file.write_bytes(b"second")
    dvc(tmp_path, "add", "model.bin")
    dvc(tmp_path, "push")
    commit(tmp_path, "v2")
    shutil.rmtree(tmp_path / ".dvc/cache")
    file.unlink()
    run(tmp_path, "git", "checkout", "-q", "v1")
    dvc(tmp_path, "pull")
    assert file.read_bytes() == b"first"
    assert run(tmp_path, "git", "ls-files", "model*").split() == ["model.bin.dvc"]
