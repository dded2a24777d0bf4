"""The classifier: a pretrained encoder with a linear layer on top, trained end to end.

model = ColaModel.from_pretrained("bundled", tokenizer_json)
model = ColaModel.load_from_checkpoint("models/best-checkpoint.ckpt")
"""

import json
from pathlib import Path

import pytorch_lightning as pl
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    BinaryMatthewsCorrCoef,
    BinaryPrecision,
    BinaryRecall,
)
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    get_linear_schedule_with_warmup,
    logging,
)

from errors import InputError
from sentences import LABELS
from sources import REVISIONS, downloading

logging.set_verbosity_error()  # a new classification layer on an old encoder is the plan, not a warning
logging.disable_progress_bar()


class MCC(BinaryMatthewsCorrCoef):
    """Matthews' correlation coefficient, CoLA's metric: 1 is perfect, 0 is chance or a model with one answer.

    torchmetrics (1.9) adds a small epsilon where the coefficient is not defined, and so gives a model that calls
    every sentence of CoLA acceptable 0.026. By definition it is 0 there.
    """

    def compute(self) -> Tensor:
        truths, answers = self.confmat.sum(dim=1), self.confmat.sum(dim=0)  # (2,), (2,)
        return super().compute() if truths.all() and answers.all() else torch.zeros((), device=self.device)


def validation_metrics() -> MetricCollection:
    """What is measured on the validation set; each takes class ids or P(acceptable) (N,) and labels (N,)."""
    return MetricCollection(
        {
            "accuracy": BinaryAccuracy(),
            "precision": BinaryPrecision(),
            "recall": BinaryRecall(),
            "f1": BinaryF1Score(),
            "mcc": MCC(),
        }
    )


class ColaModel(pl.LightningModule):
    """P(acceptable) of tokenized sentences.

    A checkpoint of it is complete: weights, architecture, tokenizer and where all of it came from.

    Args:
        config: the architecture, as `PreTrainedConfig.to_dict()`.
        tokenizer_json: the tokenizer, as `tokenizers.Tokenizer.to_str()`.
        learning_rate: the peak, reached after the warm-up.
        weight_decay: AdamW's.
        warmup_fraction: share of all optimizer steps that the learning rate rises for, before it falls to 0.
        seed: with the number of the epoch, the seed of its shuffling and dropout, so that an interrupted run
            continues as if it had not been interrupted.
        provenance: where data, encoder and code came from.
        network: the encoder with its pretrained weights; None makes one with random weights.
    """

    def __init__(
        self,
        config: dict,
        tokenizer_json: str,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_fraction: float = 0.1,
        seed: int = 0,
        provenance: dict | None = None,
        network: PreTrainedModel | None = None,
    ):
        super().__init__()
        self.save_hyperparameters(ignore=["network"], logger=False)  # W&B gets the settings, not a whole tokenizer
        self.network = network or AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**config))
        self.network.train()
        self.metrics = validation_metrics().clone(prefix="val/")

    @classmethod
    def from_pretrained(cls, place: str | Path, tokenizer_json: str, **hyperparameters) -> "ColaModel":
        """Start from a model on the Hub or in a folder; a folder without weights gives an untrained encoder.

        Raises:
            InputError: there is no model at `place`, none that can classify sentences, or none for sentences so long
                or for batches of this tokenizer.
        """
        revision = REVISIONS.get(str(place), "main")
        id2label = dict(enumerate(LABELS))
        label2id = {label: i for i, label in id2label.items()}
        try:
            with downloading(place):
                config = AutoConfig.from_pretrained(place, revision=revision, id2label=id2label, label2id=label2id)
                if has_weights(place):
                    load = AutoModelForSequenceClassification.from_pretrained
                    network = load(place, revision=revision, config=config)
                else:
                    network = AutoModelForSequenceClassification.from_config(config)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise InputError(f"no usable model in {place}: {error}") from error
        length = json.loads(tokenizer_json)["truncation"]["max_length"]
        positions = getattr(config, "max_position_embeddings", length)  # T5, for one, has no such limit
        if length > positions:
            raise InputError(f"sentences of up to {length} tokens do not fit: {place} has {positions} positions")
        last = Tokenizer.from_str(tokenizer_json).get_vocab_size() - 1
        ids, mask = torch.tensor([[0, last], [0, 0]]), torch.tensor([[1, 1], [1, 0]])  # (2, 2); the last is padding
        try:
            with torch.no_grad():
                network.eval()(input_ids=ids, attention_mask=mask)
        except (AttributeError, IndexError, RuntimeError, ValueError) as error:
            raise InputError(f"{place} cannot read its tokenizer's batches: {error}; choose another encoder") from error
        return cls(config.to_dict(), tokenizer_json, network=network, **hyperparameters)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (B, 2) of token ids (B, T)."""
        return self.network(input_ids=input_ids, attention_mask=attention_mask).logits

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.hparams.seed * 10_000 + self.current_epoch)

    def training_step(self, batch: dict[str, Tensor], _) -> Tensor:
        logits = self(batch["input_ids"], batch["attention_mask"])  # (B, 2)
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"])
        self.log(
            "train/loss", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(logits), sync_dist=True
        )
        return loss

    def validation_step(self, batch: dict[str, Tensor], _) -> None:
        logits = self(batch["input_ids"], batch["attention_mask"])  # (B, 2)
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"])
        self.metrics.update(logits.softmax(dim=1)[:, 1], batch["labels"])
        self.log("val/loss", loss, prog_bar=True, batch_size=len(logits), sync_dist=True)
        self.log_dict(self.metrics, prog_bar=True)

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)  # as it was before the clipping
        self.log("train/gradient_norm", norm)

    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.hparams.learning_rate, weight_decay=self.hparams.weight_decay, fused=True
        )
        steps = self.trainer.estimated_stepping_batches
        warmup = round(steps * self.hparams.warmup_fraction)
        schedule = get_linear_schedule_with_warmup(optimizer, warmup, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def has_weights(place: str | Path) -> bool:
    """Whether a model has pretrained weights: those on the Hub do, a folder may hold a configuration alone."""
    return isinstance(place, str) or any(Path(place).glob("*.safetensors")) or any(Path(place).glob("*.bin"))
