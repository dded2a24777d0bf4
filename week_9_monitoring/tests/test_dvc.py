"""The pipeline and its remote, by DVC and git themselves, in copies of a repository with one model."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.cli import main as dvc
from dvc.repo import Repo
from omegaconf import DictConfig, OmegaConf

from conftest import compose
from inference import ColaPredictor

WEEK = Path(__file__).parent.parent
STAGES = yaml.safe_load((WEEK / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
CHECKPOINT = Path("models/best-checkpoint.ckpt")
METRICS = Path("reports/evaluate/metrics.json")


def git(*arguments) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def commit(tag: str) -> None:
    git("add", ".")
    git("commit", "-m", tag)
    git("tag", tag)


@pytest.fixture(scope="module")
def history(few, tmp_path_factory):
    """A repository with the model that the pipeline has trained, `v1`, and a second one, `v2`."""
    folder = tmp_path_factory.mktemp("history") / "classifier"
    made = ("models", "reports", "outputs", "multirun", "wandb", "cache", "storage", "tmp", "dvc.lock", "settings.yaml")
    shutil.copytree(WEEK, folder, ignore=shutil.ignore_patterns(".*_cache", *made))
    shutil.copytree(few, folder / "few")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
            patch.setenv(name, str(folder.parent))  # a machine of its own
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "A Reader")
            patch.setenv(f"GIT_{role}_EMAIL", "reader@example.org")
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.chdir(folder)
        Path("params.yaml").write_text("source: few\nmodel: bundled\ntraining: debug\noverrides: training.epochs=1\n")
        stages = {name: STAGES[name] for name in ("settings", "train", "evaluate")}  # a later week has more
        Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        git("init", "-q")
        assert dvc(["repro", "-q"]) == 0
        commit("v1")
        CHECKPOINT.write_bytes(b"another model")
        METRICS.write_text(METRICS.read_text().replace("0.", "1."))
        assert dvc(["commit", "-f", "-q"]) == 0
        commit("v2")
        yield folder


@pytest.fixture
def repository(history, tmp_path, monkeypatch) -> Path:
    """A copy of it, to be changed, as the current folder."""
    shutil.copytree(history, tmp_path / "classifier", symlinks=True)
    monkeypatch.chdir(tmp_path / "classifier")
    return Path.cwd()


def test_what_has_not_changed_is_not_run_again(repository):
    assert Repo().status() == {}


def test_a_colleague_gets_the_model_by_clone_and_pull(repository, tmp_path, monkeypatch):
    assert dvc(["remote", "modify", "local", "url", str(tmp_path / "shared")]) == 0
    commit("shared")
    assert dvc(["push", "-q"]) == 0
    git("clone", "-q", str(repository), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert not CHECKPOINT.exists()
    assert dvc(["pull", "-q"]) == 0
    assert CHECKPOINT.read_bytes() == (repository / CHECKPOINT).read_bytes()
    assert (tmp_path / "clone" / METRICS).exists()  # git brought it


def test_without_git_as_in_an_image_it_pulls_after_one_setting(repository):
    model = CHECKPOINT.read_bytes()
    shutil.rmtree(".git")
    assert dvc(["config", "--local", "core.no_scm", "true"]) == 0
    assert dvc(["push", "-q"]) == 0
    shutil.rmtree(".dvc/cache")
    CHECKPOINT.unlink()
    assert dvc(["pull", "-q"]) == 0
    assert CHECKPOINT.read_bytes() == model


def test_an_older_model_comes_back_by_its_tag(repository):
    git("checkout", "v1")
    assert dvc(["checkout", "-q"]) == 0
    assert CHECKPOINT.stat().st_size > 100_000
    assert Repo().status() == {}
    git("checkout", "v2")
    assert dvc(["checkout", "-q"]) == 0
    assert CHECKPOINT.read_bytes() == b"another model"


def test_two_models_are_compared_by_numbers(repository):
    (rows,) = Repo().metrics.diff("v1", "v2")["diff"].values()
    assert {"model.accuracy", "model.mcc"} <= set(rows)
    assert all(isinstance(row[side], float | int) for row in rows.values() for side in ("old", "new"))


@pytest.mark.parametrize(("key", "value", "trains"), [("weight_decay", 0.5, True), ("accelerator", "gpu", False)])
def test_only_a_setting_that_shapes_the_model_trains_it_anew(repository, key, value, trains):
    settings = OmegaConf.load("settings.yaml")
    settings.training[key] = value
    OmegaConf.save(settings, "settings.yaml")
    changed = {"changed deps": {"settings.yaml": {f"training.{key}": "modified"}}}
    assert Repo().status("train") == ({"train": [changed]} if trains else {})


def test_every_setting_is_watched_or_known_to_shape_no_model():
    (watched,) = (entry["settings.yaml"] for entry in STAGES["train"]["params"])
    known = {"name", "output", "reports", "resume"}
    known |= {f"training.{key}" for key in ("accelerator", "devices", "num_nodes", "strategy")}
    for key, value in compose().items():
        names = {f"{key}.{name}" for name in value} if isinstance(value, DictConfig) else {key}
        assert key in watched or names <= {*watched, *known}


def test_a_wrong_setting_stops_before_anything_is_trained(repository):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("overrides: ", "overrides: sed=1 "))
    assert dvc(["repro", "-q"]) != 0
    assert CHECKPOINT.read_bytes() == b"another model"


@pytest.mark.parametrize("stage", STAGES)
def test_the_pipeline_watches_all_code_that_a_stage_imports(stage):
    script = re.match(r"python (?:-m )?([\w.]+)", STAGES[stage]["cmd"])[1].removesuffix(".py")
    watched = {WEEK / file for file in STAGES[stage]["deps"] if file.endswith(".py")}
    types = {WEEK / "config.py"}  # the stage `settings` watches it for all
    assert watched - types == imported(file_of(script), set()) - types


def file_of(name: str | None) -> Path:
    return WEEK / f"{str(name).replace('.', '/')}.py"


def imported(module: Path, found: set[Path]) -> set[Path]:
    """The files of the week that a module is made of: its own, and those that it imports."""
    found.add(module)
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names or [getattr(node, "module", None)]:
            file = file_of(name)
            if file.exists() and file not in found:
                imported(file, found)
    return found


def test_without_a_model_the_cure_is_dvcs(tmp_path):
    with pytest.raises(SystemExit, match="dvc pull"):
        ColaPredictor(tmp_path / "none.ckpt")
