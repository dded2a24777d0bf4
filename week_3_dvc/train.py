"""Train the classifier, keep its best checkpoint, and say how good it is.

python train.py                                 # CoLA and ELECTRA-small from the Hub, or the bundled stand-ins offline
python train.py source=bundled training=debug   # the stand-ins, in seconds
python train.py resume=true                     # go on with a run that was interrupted
python train.py -m seed=0,1,2                   # a sweep

The keys stand in configs/, their types in config.py; `python train.py --help` shows them all.
"""

import contextlib
import shlex
import sys
from pathlib import Path

import hydra
import pytorch_lightning as pl
import torch
import wandb
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from callbacks import AtomicCheckpointIO, EpochReport
from config import Config, check
from data import DataModule
from errors import InputError, friendly_errors
from evaluate import evaluate, held_out_groups, table
from inference import ColaPredictor
from model import ColaModel, has_weights
from report import write_report
from sources import resolve
from tracking import log_checkpoint, log_report, start_run

# Where the configuration leaves it open: a pretrained encoder needs little and careful training, an untrained one
# needs more of both.
FINE_TUNING = {"epochs": 5, "learning_rate": 1e-4}
FROM_SCRATCH = {"epochs": 6, "learning_rate": 1e-3}


def train(cfg: Config, folder: Path) -> dict | None:
    """Train as told and return what `evaluate` says of the best checkpoint.

    Args:
        cfg: the configuration.
        folder: what `cfg.output` and `cfg.reports` are relative to.

    Returns:
        None in all processes of a distributed run but the first.
    """
    check(cfg)
    output = make_folder(folder / cfg.output)
    if rank_zero_only.rank != 0:
        return _train(cfg, output, make_folder(folder / cfg.reports))
    try:
        with FileLock(output / ".lock", timeout=0):
            return _train(cfg, output, make_folder(folder / cfg.reports))
    except Timeout:
        raise InputError(f"another run is training into {output}: wait for it, or choose output=DIR") from None
    finally:
        wandb.finish(exit_code=1 if sys.exc_info()[0] else 0)  # a run that broke off is marked so


def _train(cfg: Config, output: Path, reports: Path) -> dict | None:
    pl.seed_everything(cfg.seed, verbose=False)
    sources = resolve(cfg.source, cfg.processing.data, cfg.model.name)
    processes = cfg.training.devices * cfg.training.num_nodes
    data = DataModule(sources, cfg.processing.batch_size // processes, cfg.processing.max_length)
    settings = recorded(cfg)
    for name, value in (FINE_TUNING if has_weights(sources.model) else FROM_SCRATCH).items():
        settings[name] = value if settings[name] is None else settings[name]
    provenance = sources.provenance() | {"settings": settings}
    best, last = output / "best-checkpoint.ckpt", output / "last.ckpt"
    run_id = check_same_run(last, provenance) if cfg.resume else None
    held_out_groups(sources.data, data.corpus)  # what does not fit there is better known now than after the training
    logger = None
    if rank_zero_only.rank == 0:
        logger = start_run(cfg.name, sources.provenance() | settings, run_id)
        provenance["wandb_run"] = logger.experiment.id
    model = ColaModel.from_pretrained(
        sources.model,
        data.tokenizer.to_str(),
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        warmup_fraction=settings["warmup_fraction"],
        seed=settings["seed"],
        provenance=provenance,
    )
    parameters = sum(p.numel() for p in model.parameters())
    share = "" if cfg.training.batches == 1 else f"{100 * cfg.training.batches:g}% of "
    plural = "" if settings["epochs"] == 1 else "s"
    print(
        f"training {provenance['model']} ({parameters / 1e6:.1f} M parameters) on "
        f"{share}{len(data.corpus['train']):,} sentences, {settings['epochs']} epoch{plural}",
        file=sys.stderr,
    )

    report = EpochReport()
    checkpoint = {"dirpath": output, "enable_version_counter": False, "save_on_train_epoch_end": True}
    batches = len(data.corpus["train"]) // cfg.processing.batch_size * cfg.training.batches
    trainer = pl.Trainer(
        max_epochs=settings["epochs"],
        gradient_clip_val=1.0,
        num_sanity_val_steps=0,
        limit_train_batches=cfg.training.batches if batches >= 1 else 1,
        accelerator=cfg.training.accelerator,
        devices=cfg.training.devices,
        num_nodes=cfg.training.num_nodes,
        strategy=cfg.training.strategy,
        logger=logger,
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        plugins=[AtomicCheckpointIO()],
        callbacks=[
            EarlyStopping("val/mcc", mode="max", patience=settings["patience"], check_on_train_epoch_end=True),
            ModelCheckpoint(filename=best.stem, monitor="val/mcc", mode="max", save_weights_only=True, **checkpoint),
            ModelCheckpoint(filename=last.stem, **checkpoint),
            LearningRateMonitor(),
            report,
        ],
    )
    with contextlib.redirect_stdout(sys.stderr):  # where Lightning draws its progress bar
        fit(trainer, model, data, last, cfg.resume)
    if not trainer.is_global_zero:
        return None
    rows = data.corpus["validation"]
    scores = ColaPredictor(best).scores(rows["sentence"].tolist())
    results = evaluate(scores, data.corpus, sources.data)
    write_report(reports, results, scores, rows, provenance, report.history)
    log_report(logger, results, scores, rows)
    log_checkpoint(logger, best, provenance)
    last.unlink(missing_ok=True)
    return results


def fit(trainer: pl.Trainer, model: ColaModel, data: DataModule, last: Path, resume: bool) -> None:
    """Run the training; on Ctrl-C, raise `KeyboardInterrupt` with the way to go on."""
    try:
        trainer.fit(model, data, ckpt_path=last if resume else None, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl-C
        if not resume and trainer.current_epoch == 0:  # a last.ckpt, if there is one, is an earlier run's
            advice = "no epoch was saved yet, nothing to keep; start again without resume=true"
        else:
            advice = f"go on with: python train.py {shlex.join(sys.argv[1:] + ['resume=true'] * (not resume))}"
        raise KeyboardInterrupt(advice) from None


def recorded(cfg: Config) -> dict:
    """The settings that shape a model, without those that only say where things are or how fast they go."""
    training = ("epochs", "learning_rate", "weight_decay", "warmup_fraction", "patience", "batches")
    processing = ("batch_size", "max_length")
    return (
        {name: cfg.processing[name] for name in processing}
        | {name: cfg.training[name] for name in training}
        | {"seed": cfg.seed}
    )


def check_same_run(last: Path, now: dict) -> str:
    """Refuse to continue a run under other settings, on other data or with another encoder; return its W&B id."""
    if not last.is_file():
        raise InputError(f"{last} not found: there is no interrupted run to resume; leave out resume=true")
    try:
        before = torch.load(last, map_location="cpu", weights_only=True)["hyper_parameters"]["provenance"]
        before = before | before.pop("settings")
    except PermissionError as error:
        raise InputError(f"{last} cannot be read: check its permissions") from error
    except Exception as error:
        raise InputError(f"{last} is damaged: delete it and train without resume=true") from error
    now = now | now["settings"]
    for name in sorted(now.keys() - {"settings", "git_revision"}):
        if before.get(name) != now[name]:
            raise InputError(
                f"{last} was trained with {name} {before.get(name)}, not {now[name]}: leave out resume=true"
            )
    return before.get("wandb_run")


def make_folder(path: str | Path) -> Path:
    """Make a folder, and those above it, or raise `InputError`."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {path} cannot be made ({error.strerror}): choose another") from error
    return Path(path)


@hydra.main(version_base="1.3", config_path="configs", config_name="config")
def main(cfg: Config) -> float | None:
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        with friendly_errors():
            if results := train(cfg, Path()):
                print(table(results))
                print(f"best checkpoint: {Path(cfg.output, 'best-checkpoint.ckpt')}, plots: {cfg.reports}/")
        return None
    try:  # a run of a sweep that cannot work does not end the others
        if cfg.training.devices * cfg.training.num_nodes > 1:
            raise InputError("a sweep is made of runs on one process: leave out training=ddp, or -m")
        cfg.name += f"-{HydraConfig.get().job.num}"  # as in the leaderboard
        return train(cfg, Path(HydraConfig.get().runtime.output_dir))["model"]["mcc"]
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return None
    except KeyboardInterrupt:
        with friendly_errors():  # here, as the launcher may have put us into a process of our own
            finished = f"what has finished lies in {HydraConfig.get().sweep.dir}/"
            raise KeyboardInterrupt(f"{finished}; start the sweep again") from None


if __name__ == "__main__":
    with friendly_errors():  # Ctrl-C may find a sweep between its runs
        main()
