"""The keys of the configuration and their types.

Hydra holds the files of `configs/` and the command line against these classes, so that a misspelt key or a value of
the wrong type is refused, by name, before anything runs. The values stand in `configs/` alone.
"""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class Model:
    name: str = MISSING
    epochs: int = MISSING
    learning_rate: float = MISSING


@dataclass
class Processing:
    batch_size: int = MISSING
    max_length: int = MISSING


@dataclass
class Training:
    epochs: int = MISSING
    learning_rate: float = MISSING
    weight_decay: float = MISSING
    patience: int = MISSING
    batches: float = MISSING
    accelerator: str = MISSING
    devices: int = MISSING
    num_nodes: int = MISSING
    strategy: str = MISSING


@dataclass
class Config:
    name: str = MISSING
    source: str = MISSING
    seed: int = MISSING
    output: str = MISSING
    reports: str = MISSING
    resume: bool = MISSING
    model: Model = field(default_factory=Model)
    processing: Processing = field(default_factory=Processing)
    training: Training = field(default_factory=Training)


ConfigStore.instance().store("schema", Config)
