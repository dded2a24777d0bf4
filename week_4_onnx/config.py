"""The keys of the configuration and their types.

Hydra checks the files of `configs/` and the command line against these classes, so that a misspelt key or a value of
the wrong type is refused, by name, before anything runs. The values stand in `configs/` alone.
"""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore


@dataclass
class Model:
    name: str
    epochs: int
    learning_rate: float


@dataclass
class Processing:
    batch_size: int
    max_length: int


@dataclass
class Training:
    epochs: int
    learning_rate: float
    weight_decay: float
    patience: int
    batches: float
    accelerator: str
    devices: int
    num_nodes: int
    strategy: str


@dataclass
class Config:
    name: str
    source: str
    seed: int
    output: str
    reports: str
    resume: bool
    model: Model
    processing: Processing
    training: Training


ConfigStore.instance().store("schema", Config)
