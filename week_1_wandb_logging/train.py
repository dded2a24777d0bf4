"""Train the classifier, keep its best checkpoint, and say how good it is.

python train.py                     # the bundled stand-ins: a minute, no network
python train.py --source hub        # CoLA and ELECTRA-small
python train.py --resume            # go on with a run that was interrupted
"""

import argparse
import logging
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import WandbLogger

from data import DataModule
from evaluate import evaluate, judge, table
from model import ColaModel
from report import History, write_report
from sources import HUB_MODEL
from tracking import log_checkpoint, log_report, open_run

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", ".*LeafSpec|Checkpoint directory|.*does not have many workers")  # each is known


def run(args: argparse.Namespace) -> dict[str, dict]:
    """Train, measure, and report to W&B and into a folder; returns what `evaluate` does."""
    provenance, last = recorded(args), Path(args.output, "last.ckpt")
    run_id = check_same_run(last, provenance) if args.resume else None
    with open_run(provenance, run_id) as wandb_run:
        history = History()
        checkpoint = train(args, provenance | {"wandb_run": wandb_run.id}, WandbLogger(experiment=wandb_run), history)
        judged = judge(checkpoint, args.source)
        results = evaluate(judged, args.source)
        write_report(Path(args.reports), results, judged, history.rows)
        log_report(wandb_run, results, judged)
        log_checkpoint(wandb_run, checkpoint, provenance)
    return results


def train(args: argparse.Namespace, provenance: dict, logger: WandbLogger, history: History) -> Path:
    """Train as told; returns the best checkpoint."""
    pl.seed_everything(args.seed, verbose=False)
    encoder, rate = provenance["encoder"], provenance["learning_rate"]
    if encoder == "bundled":
        torch.set_num_threads(1)  # several would spend their time waiting for each other on so small a model
        if args.source == "hub":
            print("the bundled encoder knows no English: on CoLA its MCC is 0", file=sys.stderr)
    data = DataModule(args.source, encoder, args.batch_size, args.max_length, args.seed)
    tokenizer = data.tokenizer.backend_tokenizer.to_str()
    model = ColaModel.from_pretrained(
        encoder, tokenizer=tokenizer, learning_rate=rate, seed=args.seed, provenance=provenance
    )
    last = Path(args.output, "last.ckpt")
    if not args.resume:
        last.unlink(missing_ok=True)  # it is another run's

    saved = {"dirpath": args.output, "enable_version_counter": False, "save_on_train_epoch_end": True}
    best = ModelCheckpoint(filename="best-checkpoint", monitor="val/mcc", mode="max", save_weights_only=True, **saved)
    trainer = pl.Trainer(
        max_epochs=args.epochs,
        callbacks=[
            best,
            ModelCheckpoint(filename="last", **saved),  # after every epoch: what --resume goes on from
            EarlyStopping("val/mcc", mode="max", patience=args.patience),
            LearningRateMonitor(),
            TQDMProgressBar(refresh_rate=20, leave=True),
            history,
        ],
        gradient_clip_val=1.0,  # one odd batch must not throw the weights about
        reload_dataloaders_every_n_epochs=1,  # each epoch has its own order
        num_sanity_val_steps=0,  # no validation before the training
        enable_model_summary=False,
        logger=logger,
        log_every_n_steps=10,
    )
    with redirect_stdout(sys.stderr):  # Lightning draws its progress bar there
        trainer.fit(model, data, ckpt_path=last if args.resume else None, weights_only=True)
    last.unlink(missing_ok=True)  # a finished run has nothing to resume
    return Path(best.best_model_path)


def recorded(args: argparse.Namespace) -> dict:
    """The settings that shape the model; the checkpoint holds them as its provenance."""
    elsewhere = ("model", "output", "reports", "resume")
    settings = {name: value for name, value in vars(args).items() if name not in elsewhere}
    settings["encoder"] = args.model or (HUB_MODEL if args.source == "hub" else "bundled")
    if args.learning_rate is None:
        settings["learning_rate"] = 1e-3 if settings["encoder"] == "bundled" else 1e-4
    return settings


def check_same_run(last: Path, provenance: dict) -> str:
    """A run goes on as it was begun, or not at all; returns its id in W&B."""
    if not last.exists():
        sys.exit(f"{last} not found: there is nothing to resume")
    before = torch.load(last, weights_only=True)["hyper_parameters"]["provenance"]
    run_id = before.pop("wandb_run")
    if differ := dict(before.items() ^ provenance.items()):
        sys.exit(f"{last} is of another run: look at {', '.join(sorted(differ))}")
    return run_id


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Train the classifier.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--source", default="bundled", help="bundled, hub, or a folder with train.csv and validation.csv"
    )
    parser.add_argument("--model", help="an encoder: bundled, its name on the Hub, or a folder")
    parser.add_argument("--epochs", type=int, default=6, help="at most")
    parser.add_argument("--learning-rate", type=float, help="at its peak: 1e-4, or 1e-3 for the untrained stand-in")
    parser.add_argument("--batch-size", type=int, default=32, help="sentences")
    parser.add_argument("--max-length", type=int, default=128, help="tokens; what is longer is cut")
    parser.add_argument("--patience", type=int, default=3, help="epochs without a better val/mcc before stopping")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and dropout")
    parser.add_argument("--output", default="models", help="folder of the checkpoints")
    parser.add_argument("--reports", default="reports/train", help="folder of the plots and tables")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    return parser


if __name__ == "__main__":
    args = parser().parse_args()
    print(table(run(args)))
    print(f"best checkpoint: {Path(args.output, 'best-checkpoint.ckpt')}, plots: {args.reports}/")
