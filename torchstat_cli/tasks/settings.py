"""How to run a model; what is run comes separately."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from torchstat_cli.calculators import Registry
from torchstat_cli.capture.training import TrainingRun
from torchstat_cli.errors import UsageError
from torchstat_cli.tasks.registry import operator_registry

Mode = Literal["eval", "train"]


@dataclass(frozen=True)
class Settings:
    """How to run; what is run comes separately."""

    device: str = "auto"  # "auto", "meta", or a device as torch spells it
    dtype: torch.dtype | None = None  # of floating parameters, buffers and generated inputs; None leaves them
    mode: Mode = "eval"
    strict: bool = False  # unknown operators and assumptions are errors
    time: bool = False  # measure the wall time of each module on a real device as well
    memo: bool = True  # answer repeated operators from memory
    memory: bool = False  # simulate which tensors live when
    attention: str = "auto"  # backend of scaled dot-product attention
    training: TrainingRun | None = None  # profile a training step; wants the mode "train"
    registry: Registry = field(default_factory=operator_registry)

    def __post_init__(self) -> None:
        if self.mode not in ("eval", "train"):
            raise UsageError(f"there is no mode {self.mode!r}", "use eval or train")
