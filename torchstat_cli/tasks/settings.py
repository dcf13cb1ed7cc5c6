"""How to run a model, also from the words of a command line; what is run comes separately."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from torchstat_cli.calculators import Registry
from torchstat_cli.capture.dispatch.calls import dtype_name
from torchstat_cli.capture.training import Loss, MakeOptimizer, TrainingRun, sum_of_outputs
from torchstat_cli.errors import UsageError
from torchstat_cli.loading import DEFAULT_OPTIMIZER, find_loss, find_optimizer
from torchstat_cli.records import TrainingSetup
from torchstat_cli.tasks.registry import operator_registry

Mode = Literal["eval", "train"]

_AUTOCAST_BYTES = 2  # of an element in low precision


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
    limit: int | None = None  # most bytes of a run for real where the device is "auto"; None is the usual one
    training: TrainingRun | None = None  # profile a training step; wants the mode "train"
    registry: Registry = field(default_factory=operator_registry)

    def __post_init__(self) -> None:
        if self.mode not in ("eval", "train"):
            raise UsageError(f"there is no mode {self.mode!r}", "use eval or train")


def training_run(
    optimizer: str | MakeOptimizer | None = None,
    loss: str | Loss | None = None,
    autocast: str | None = None,
    accumulate: int = 1,
) -> TrainingRun:
    """How to train, from names, specs or functions.

    Raises:
        UsageError: an optimiser, dtype or number that cannot be.
        SpecError: a function that does not exist.
    """
    if accumulate < 1:
        raise UsageError(f"a step cannot accumulate {accumulate} passes", "give 1 or more")
    low = floating_dtype(autocast) if autocast else None
    if low is not None and low.itemsize != _AUTOCAST_BYTES:
        raise UsageError(f"autocast has no use for {dtype_name(low)}", "use bfloat16 or float16")
    optimizer, named = optimizer or DEFAULT_OPTIMIZER, loss or "sum of outputs"
    setup = TrainingSetup(
        optimizer=optimizer if isinstance(optimizer, str) else _name_of(optimizer),
        loss=named if isinstance(named, str) else _name_of(named),
        autocast=None if low is None else dtype_name(low),
        accumulate=accumulate,
    )
    return TrainingRun(
        setup=setup,
        make_optimizer=find_optimizer(optimizer) if isinstance(optimizer, str) else optimizer,
        loss=sum_of_outputs if loss is None else find_loss(loss) if isinstance(loss, str) else loss,
        autocast=low,
    )


_SHORT_NAMES = {"fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""How people call dtypes beside torch's own names."""


def floating_dtype(name: str) -> torch.dtype:
    """The floating dtype that torch spells ``name``.

    Raises:
        UsageError: there is no such dtype, or it is not a floating one.
    """
    dtype = getattr(torch, _SHORT_NAMES.get(name, name).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype) or not (dtype.is_floating_point or dtype.is_complex):
        raise UsageError(f"{name!r} is no floating dtype", "use float32, float64, float16 or bfloat16")
    return dtype


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
