"""The table of kernels whose inner tensors are known, each with a function that takes the kernel's steps.

A function gets the operator's arguments as meta tensors and makes, with operators of torch, what the kernel makes, in
the same order and for as long. Its result stands for the kernel's. Whoever runs it counts bytes, never values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from torchstat_cli.torch_access.internals import OpOverload

Kernels = Literal["cpu", "gpu", "gpu math"]
"""Whose kernels a run has or stands for: a GPU with plain attention is a kind of its own."""

Steps = Callable[..., Any]
_Function = TypeVar("_Function", bound=Steps)

EVERYWHERE: tuple[Kernels, ...] = ("cpu", "gpu", "gpu math")

_STEPS: dict[tuple[str, Kernels], Steps] = {}  # by operator and overload, as in ``aten::_safe_softmax``


def steps(*names: str, of: tuple[Kernels, ...] = ("cpu",)) -> Callable[[_Function], _Function]:
    """Decorator: the steps of operators, by their names in aten, or with their namespace.

    Args:
        of: whose kernels take them.

    Raises:
        ValueError: an operator has steps already.
    """

    def register(function: _Function) -> _Function:
        for name in names:
            for kernels in of:
                key = name if "::" in name else f"aten::{name}", kernels
                if key in _STEPS:
                    raise ValueError(f"two lists of steps for {key}")
                _STEPS[key] = function
        return function

    return register


def steps_of(func: OpOverload, kernels: Kernels) -> Steps | None:
    """What the kernel of ``func`` does, if it is known to make tensors of its own."""
    return _STEPS.get((func.name(), kernels))
