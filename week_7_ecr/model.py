"""The classifier: a pretrained encoder with a linear layer on top, trained end to end."""

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection, classification
from transformers import AutoConfig, AutoModelForSequenceClassification, get_linear_schedule_with_warmup

from sources import LABELS, place_of


class MCC(classification.BinaryMatthewsCorrCoef):
    """Matthews' correlation coefficient: 1 is perfect, 0 is chance.

    It is undefined where all answers or all labels are the same: 0 here, in torchmetrics (1.9) 0.026 on CoLA, or 1.
    """

    def compute(self) -> Tensor:
        defined = self.confmat.sum(dim=0).all() and self.confmat.sum(dim=1).all()
        return super().compute() if defined else torch.zeros((), device=self.device)


def quality() -> MetricCollection:
    """What is measured: each takes class ids or P(acceptable) (N,), and labels (N,)."""
    return MetricCollection(
        {
            "accuracy": classification.BinaryAccuracy(),
            "precision": classification.BinaryPrecision(),  # of those called acceptable, the share that is
            "recall": classification.BinaryRecall(),  # of the acceptable, the share that was found
            "f1": classification.BinaryF1Score(),  # the harmonic mean of the two
            "mcc": MCC(),
        }
    )


class ColaModel(pl.LightningModule):
    """P(acceptable) of tokenized sentences.

    A checkpoint of it is complete: weights, architecture, labels, tokenizer, and where all of it came from.
    """

    def __init__(
        self,
        config: dict,
        tokenizer: str,
        learning_rate: float,
        weight_decay: float = 0.01,
        seed: int = 0,
        provenance: dict | None = None,
    ):
        super().__init__()
        self.save_hyperparameters(logger=False)  # a logger has no use for a whole tokenizer
        self.network = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**config))
        self.metrics = quality().clone(prefix="val/")

    @classmethod
    def from_pretrained(cls, encoder: str, **settings) -> "ColaModel":
        """Start from an encoder's weights, on the Hub or in a folder; the stand-in has none, and starts untrained."""
        labels = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}
        config = AutoConfig.from_pretrained(**place_of(encoder), **labels, dtype=torch.float32)
        model = cls(config.to_dict(), **settings)
        if encoder != "bundled":
            model.network = AutoModelForSequenceClassification.from_pretrained(**place_of(encoder), config=config)
        return model.train()  # pretrained weights arrive in evaluation mode, without dropout

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (B, 2) of token ids (B, T)."""
        return self.network(input_ids=input_ids, attention_mask=attention_mask).logits

    def step(self, batch: dict[str, Tensor], stage: str) -> tuple[Tensor, Tensor]:
        logits = self(batch["input_ids"], batch["attention_mask"])  # (B, 2)
        loss = nn.functional.cross_entropy(logits, batch["labels"])
        # Over the epoch, and over all processes.
        self.log(f"{stage}/loss", loss, prog_bar=stage == "train", on_step=False, on_epoch=True, sync_dist=True)
        return loss, logits

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        # Dropout follows from the seed and the step, so that a resumed run equals an uninterrupted one.
        torch.manual_seed(1_000_000 * self.hparams.seed + self.global_step)

    def training_step(self, batch: dict[str, Tensor], _) -> Tensor:
        loss, _ = self.step(batch, "train")
        if not loss.isfinite():
            raise ValueError(f"train/loss is {loss}: the learning rate {self.hparams.learning_rate} is too high")
        return loss

    def validation_step(self, batch: dict[str, Tensor], _) -> None:
        _, logits = self.step(batch, "val")
        self.metrics.update(logits.softmax(dim=1)[:, 1], batch["labels"])  # P(acceptable) (B,), and labels (B,)
        for name, metric in self.metrics.items():  # as objects: computed once, at the end of the epoch
            self.log(name, metric, prog_bar=name == "val/mcc")

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        norm = nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)  # as it was before it was clipped
        self.log("train/gradient_norm", norm)

    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.hparams.learning_rate, weight_decay=self.hparams.weight_decay
        )
        steps = self.trainer.estimated_stepping_batches
        schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)  # up for a tenth, then down to 0
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
