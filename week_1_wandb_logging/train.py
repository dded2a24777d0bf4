"""Train the classifier, keep its best checkpoint, and say how good it is.

python train.py                     # CoLA and ELECTRA-small from the Hub, or the bundled stand-ins offline
python train.py --source bundled    # the stand-ins: half a minute, no network
python train.py --resume            # go on with a run that was interrupted
"""

import argparse
import contextlib
import shlex
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
import wandb
from filelock import FileLock, Timeout
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from callbacks import AtomicCheckpointIO, EpochReport
from data import DataModule
from errors import InputError, friendly_errors
from evaluate import evaluate, held_out_groups, table
from inference import ColaPredictor
from model import ColaModel, has_weights
from report import write_report
from sources import resolve
from tracking import log_checkpoint, log_report, start_run

# A pretrained encoder needs little and careful training; an untrained one needs more of both.
FINE_TUNING = {"epochs": 5, "learning_rate": 1e-4}
FROM_SCRATCH = {"epochs": 6, "learning_rate": 1e-3}


def train(arguments: argparse.Namespace) -> dict:
    """Train as told and return what `evaluate` says of the best checkpoint."""
    output = make_folder(arguments.output)
    try:
        with FileLock(output / ".lock", timeout=0):
            return _train(arguments, output)
    except Timeout:
        raise InputError(f"another run is training into {output}: wait for it, or choose --output DIR") from None
    finally:
        wandb.finish(exit_code=1 if sys.exc_info()[0] else 0)  # a run that broke off is marked so


def _train(arguments: argparse.Namespace, output: Path) -> dict:
    pl.seed_everything(arguments.seed, verbose=False)
    sources = resolve(arguments.source, arguments.data, arguments.model)
    data = DataModule(sources, arguments.batch_size, arguments.max_length)
    defaults = FINE_TUNING if has_weights(sources.model) else FROM_SCRATCH
    settings = defaults | {name: value for name, value in vars(arguments).items() if value is not None}
    provenance = sources.provenance() | {"settings": recorded(settings)}
    best, last = output / "best-checkpoint.ckpt", output / "last.ckpt"
    run_id = check_same_run(last, provenance) if arguments.resume else None
    held_out_groups(sources.data, data.corpus)  # what does not fit there is better known now than after the training
    reports = make_folder(arguments.reports)
    logger = start_run(sources.provenance() | recorded(settings), run_id)
    provenance["wandb_run"] = logger.experiment.id
    model = ColaModel.from_pretrained(
        sources.model,
        data.tokenizer.to_str(),
        learning_rate=settings["learning_rate"],
        seed=settings["seed"],
        provenance=provenance,
    )
    parameters = sum(p.numel() for p in model.parameters())
    plural = "" if settings["epochs"] == 1 else "s"
    print(
        f"training {provenance['model']} ({parameters / 1e6:.1f} M parameters) on "
        f"{len(data.corpus['train']):,} sentences, {settings['epochs']} epoch{plural}",
        file=sys.stderr,
    )

    report = EpochReport()
    checkpoint = {"dirpath": output, "enable_version_counter": False, "save_on_train_epoch_end": True}
    trainer = pl.Trainer(
        max_epochs=settings["epochs"],
        devices=1,
        gradient_clip_val=1.0,
        num_sanity_val_steps=0,
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
        fit(trainer, model, data, last, arguments.resume)
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
            advice = "no epoch was saved yet, nothing to keep; start again without --resume"
        else:
            advice = f"go on with: python train.py {shlex.join(sys.argv[1:] + ['--resume'] * (not resume))}"
        raise KeyboardInterrupt(advice) from None


def recorded(settings: dict) -> dict:
    """The settings that shape a model, without those that only say where things are."""
    names = ("epochs", "batch_size", "learning_rate", "max_length", "patience", "seed")
    return {name: settings[name] for name in names}


def check_same_run(last: Path, now: dict) -> str:
    """Refuse to continue a run under other settings, on other data or with another encoder; return its W&B id."""
    if not last.is_file():
        raise InputError(f"{last} not found: there is no interrupted run to resume; leave out --resume")
    try:
        before = torch.load(last, map_location="cpu", weights_only=True)["hyper_parameters"]["provenance"]
        before = before | before.pop("settings")
    except PermissionError as error:
        raise InputError(f"{last} cannot be read: check its permissions") from error
    except Exception as error:
        raise InputError(f"{last} is damaged: delete it and train without --resume") from error
    now = now | now["settings"]
    for name in sorted(now.keys() - {"settings", "git_revision"}):
        if before.get(name) != now[name]:
            raise InputError(f"{last} was trained with {name} {before.get(name)}, not {now[name]}: leave out --resume")
    return before.get("wandb_run")


def make_folder(path: str | Path) -> Path:
    """Make a folder, and those above it, or raise `InputError`."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {path} cannot be made ({error.strerror}): choose another") from error
    return Path(path)


def positive(number: type):
    """An argparse type: a number above 0."""

    def parse(text: str) -> float:
        value = number(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    parse.__name__ = f"positive {number.__name__}"  # what argparse calls it in its messages
    return parse


def seed(text: str) -> int:
    """An argparse type: what NumPy takes as a seed."""
    if not 0 <= int(text) < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {2**32 - 1}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train the acceptability classifier.")
    default, tuned = "; default: %(default)s", "; default: {} for a pretrained encoder, {} for an untrained one"
    epochs, rate = ((FINE_TUNING[n], FROM_SCRATCH[n]) for n in ("epochs", "learning_rate"))
    parser.add_argument("--source", choices=["auto", "hub", "bundled"], default="auto",
                        help="of data and encoder" + default)  # fmt: skip
    parser.add_argument("--data", metavar="DIR", help="folder with train.csv and validation.csv")
    parser.add_argument("--model", metavar="DIR|NAME", help="encoder: a folder, a name on the Hub, or bundled")
    parser.add_argument("--epochs", type=positive(int), help="at most" + tuned.format(*epochs))
    parser.add_argument("--learning-rate", type=positive(float), help="peak" + tuned.format(*rate))
    parser.add_argument("--batch-size", type=positive(int), default=32, help="sentences" + default)
    parser.add_argument("--max-length", type=positive(int), default=128,
                        help="tokens; what is longer is cut" + default)  # fmt: skip
    parser.add_argument("--patience", type=positive(int), default=5,
                        help="epochs without a better val/mcc before stopping" + default)  # fmt: skip
    parser.add_argument("--seed", type=seed, default=0, help="of weights, shuffling and dropout" + default)
    parser.add_argument("--output", default="models", metavar="DIR", help="where the checkpoints go" + default)
    parser.add_argument("--reports", default="reports", metavar="DIR", help="where plots and tables go" + default)
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    return parser


@friendly_errors()
def main() -> None:
    arguments = parser().parse_args()
    print(table(train(arguments)))
    print(f"best checkpoint: {Path(arguments.output, 'best-checkpoint.ckpt')}, plots: {arguments.reports}/")


if __name__ == "__main__":
    main()
