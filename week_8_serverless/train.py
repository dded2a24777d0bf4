"""Train the classifier, keep its best checkpoint, and say how good it is.

python train.py                                 # the bundled stand-ins: a minute, no network
python train.py source=hub model=electra_small  # CoLA and ELECTRA-small
python train.py resume=true                     # go on with a run that was interrupted
python train.py -m seed=0,1,2                   # a sweep

The settings stand in configs/, their types in config.py.
"""

import logging
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import hydra
import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from config import Config
from data import DataModule
from evaluate import evaluate, judge, table
from model import ColaModel
from report import History, write_report
from tracking import log_checkpoint, log_report, open_run

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", ".*LeafSpec|Checkpoint directory|.*does not have many workers")  # each is known


def run(cfg: Config) -> dict[str, dict] | None:
    """Train, measure, and report to W&B and into a folder; returns what `evaluate` does, in the first process."""
    provenance, last = recorded(cfg), Path(cfg.output, "last.ckpt")
    run_id = check_same_run(last, provenance) if cfg.resume else None
    with open_run(provenance, run_id, cfg.name) as wandb_run:
        history = History()
        checkpoint = train(cfg, provenance | {"wandb_run": wandb_run.id}, WandbLogger(experiment=wandb_run), history)
        if rank_zero_only.rank > 0:
            return None
        judged = judge(checkpoint, cfg.source)
        results = evaluate(judged, cfg.source)
        write_report(Path(cfg.reports), results, judged, history.rows)
        log_report(wandb_run, results, judged)
        log_checkpoint(wandb_run, checkpoint, provenance)
    return results


def train(cfg: Config, provenance: dict, logger: WandbLogger, history: History) -> Path:
    """Train as told; returns the best checkpoint."""
    pl.seed_everything(cfg.seed, verbose=False)
    encoder, processes = cfg.model.name, cfg.training.devices * cfg.training.num_nodes
    if encoder == "bundled":
        torch.set_num_threads(1)  # several would spend their time waiting for each other on so small a model
        if cfg.source == "hub":
            print("the bundled encoder knows no English: on CoLA its MCC is 0", file=sys.stderr)
    if cfg.processing.batch_size % processes:
        sys.exit(f"batches of {cfg.processing.batch_size} sentences cannot be shared evenly by {processes} processes")

    per_process = cfg.processing.batch_size // processes
    data = DataModule(cfg.source, encoder, per_process, cfg.processing.max_length, cfg.seed)
    tokenizer = data.tokenizer.backend_tokenizer.to_str()
    settings = {"learning_rate": cfg.training.learning_rate, "weight_decay": cfg.training.weight_decay}
    model = ColaModel.from_pretrained(encoder, tokenizer=tokenizer, seed=cfg.seed, provenance=provenance, **settings)
    last = Path(cfg.output, "last.ckpt")
    if not cfg.resume:
        last.unlink(missing_ok=True)  # it is another run's

    saved = {"dirpath": cfg.output, "enable_version_counter": False, "save_on_train_epoch_end": True}
    best = ModelCheckpoint(filename="best-checkpoint", monitor="val/mcc", mode="max", save_weights_only=True, **saved)
    trainer = pl.Trainer(
        max_epochs=cfg.training.epochs,
        limit_train_batches=cfg.training.batches,
        accelerator=cfg.training.accelerator,
        devices=cfg.training.devices,
        num_nodes=cfg.training.num_nodes,
        strategy=cfg.training.strategy,
        callbacks=[
            best,
            ModelCheckpoint(filename="last", **saved),  # after every epoch: what resume=true goes on from
            EarlyStopping("val/mcc", mode="max", patience=cfg.training.patience),
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
        trainer.fit(model, data, ckpt_path=last if cfg.resume else None, weights_only=True)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # the first process goes on alone
    last.unlink(missing_ok=True)  # a finished run has nothing to resume
    return Path(best.best_model_path)


def recorded(cfg: Config) -> dict:
    """The settings that shape the model; the checkpoint holds them as its provenance."""
    training = ("epochs", "learning_rate", "weight_decay", "patience", "batches")
    settings = dict(cfg.processing) | {name: cfg.training[name] for name in training}
    return {"source": cfg.source, "encoder": cfg.model.name, "seed": cfg.seed} | settings


def check_same_run(last: Path, provenance: dict) -> str:
    """A run goes on as it was begun, or not at all; returns its id in W&B."""
    if not last.exists():
        sys.exit(f"{last} not found: there is nothing to resume")
    before = torch.load(last, weights_only=True)["hyper_parameters"]["provenance"]
    run_id = before.pop("wandb_run")
    if differ := dict(before.items() ^ provenance.items()):
        sys.exit(f"{last} is of another run: look at {', '.join(sorted(differ))}")
    return run_id


@hydra.main(version_base="1.3", config_path="configs", config_name="config")
def main(cfg: Config) -> float | None:
    OmegaConf.merge(Config, OmegaConf.to_container(cfg))  # refuses what +key=value has added, as nothing would read it
    job = HydraConfig.get()
    if job.mode == RunMode.MULTIRUN:
        cfg.name += f"-{job.job.num}"
        for key in ("output", "reports"):
            if Path(cfg[key]).is_absolute() or ".." in Path(cfg[key]).parts:
                sys.exit(f"{key}={cfg[key]} would be one folder for all runs: in a sweep it lies inside each run's own")
            cfg[key] = str(Path(job.runtime.output_dir, cfg[key]))
    if results := run(cfg):
        print(table(results))
        print(f"best checkpoint: {Path(cfg.output, 'best-checkpoint.ckpt')}, plots: {cfg.reports}/")
        return results["model"]["mcc"]  # for sweepers that search


if __name__ == "__main__":
    main()
