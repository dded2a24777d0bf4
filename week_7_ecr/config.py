"""The keys of the configuration, their types, and the values that they may take.

Hydra holds the files of `configs/` and the command line against these classes, so that a misspelt key or a value of
the wrong type is refused, by name, before anything runs.
"""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import ConfigKeyError
from pytorch_lightning.accelerators import AcceleratorRegistry
from pytorch_lightning.strategies import StrategyRegistry

from errors import InputError


@dataclass
class Model:
    name: str | None = MISSING
    epochs: int | None = MISSING
    learning_rate: float | None = MISSING


@dataclass
class Processing:
    data: str | None = MISSING
    batch_size: int = MISSING
    max_length: int = MISSING


@dataclass
class Training:
    epochs: int | None = MISSING
    learning_rate: float | None = MISSING
    weight_decay: float = MISSING
    warmup_fraction: float = MISSING
    patience: int = MISSING
    batches: float = MISSING
    accelerator: str = MISSING
    devices: int = MISSING
    num_nodes: int = MISSING
    strategy: str = MISSING


@dataclass
class Config:
    model: Model = field(default_factory=Model)
    processing: Processing = field(default_factory=Processing)
    training: Training = field(default_factory=Training)
    source: str = MISSING
    seed: int = MISSING
    output: str = MISSING
    reports: str = MISSING
    resume: bool = MISSING
    name: str = MISSING


ConfigStore.instance().store("schema", Config)


ABOVE_0 = ("processing.batch_size", "processing.max_length", "training.epochs", "training.learning_rate",
           "training.patience", "training.batches", "training.devices", "training.num_nodes")  # fmt: skip
SHARES = ("training.warmup_fraction", "training.batches", "training.weight_decay")


def check(cfg: Config) -> None:
    """Refuse keys that are none of the above, and values that have the right type and make no sense, by name.

    Raises:
        InputError: a key was added with `+`, a count or a rate is not above 0, a share is not between 0 and 1,
            `source` or the strategy is unknown, this machine lacks the accelerator or so many of it, or a batch cannot
            be shared evenly by the processes.
    """
    try:
        OmegaConf.merge(Config, OmegaConf.to_container(cfg))  # Hydra itself lets `+key=value` through
    except ConfigKeyError as error:
        raise InputError(f"{error.full_key} is no setting: python train.py --help shows all") from None
    if cfg.source not in ("auto", "hub", "bundled"):
        raise InputError(f"source={cfg.source}: choose auto, hub or bundled")
    for key in ABOVE_0:
        value = OmegaConf.select(cfg, key)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{key}={value}: give a number above 0")
    if not 0 <= cfg.seed < 2**32:
        raise InputError(f"seed={cfg.seed}: give a number between 0 and {2**32 - 1}")
    here = ["auto", *(name for name, entry in AcceleratorRegistry.items() if entry["accelerator"].is_available())]
    if cfg.training.accelerator not in here:
        raise InputError(f"training.accelerator={cfg.training.accelerator}: this machine has {', '.join(here)}")
    for card in here[1:] if cfg.training.accelerator == "auto" else [cfg.training.accelerator]:
        number = AcceleratorRegistry[card]["accelerator"].auto_device_count()
        if card != "cpu" and cfg.training.devices > number:
            cure = "choose fewer, or training.accelerator=cpu"
            raise InputError(f"training.devices={cfg.training.devices}: this machine has {number} for {card}: {cure}")
    if cfg.training.strategy not in ("auto", *StrategyRegistry):
        raise InputError(f"training.strategy={cfg.training.strategy}: choose auto, ddp or another of Lightning's")
    for key in SHARES:
        if not 0 <= OmegaConf.select(cfg, key) <= 1:
            raise InputError(f"{key}={OmegaConf.select(cfg, key)}: give a number between 0 and 1")
    processes = cfg.training.devices * cfg.training.num_nodes
    if cfg.processing.batch_size % processes:
        raise InputError(
            f"processing.batch_size={cfg.processing.batch_size} cannot be shared evenly by {processes} processes "
            "(training.devices x training.num_nodes)"
        )
