"""Formulas that other packages registered with torch's ``register_flop_formula``, adapted to our interface."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from torchstat_cli.errors import FormulaError
from torchstat_cli.records import Cost, OpRecord, TensorRecord
from torchstat_cli.torch_access.internals import OpOverload, OpOverloadPacket

RegisteredFormula = Callable[[OpRecord], Cost]


def registered_formulas() -> Iterator[tuple[str, RegisteredFormula]]:
    """The name and formula of every operator in torch's table; empty while nobody has imported it."""
    table = sys.modules.get("torch.utils.flop_counter")
    if table is None:
        return
    for target, formula in list(table.flop_registry.items()):
        if isinstance(target, OpOverloadPacket):  # others are no operators that a dispatch mode sees
            yield str(target), _translated(target, formula)


def _translated(packet: OpOverloadPacket, formula: Callable[..., int]) -> RegisteredFormula:
    """``formula``, which takes the call's tensors, as one that takes its record.

    torch's convention is 2 FLOPs per multiply-accumulate, so half of them are the MAdds.
    """

    def cost(op: OpRecord) -> Cost:
        args, kwargs = _call(getattr(packet, op.overload), op)
        outputs = tuple(_tensor(output) for output in op.outputs)
        flops = formula(*args, **kwargs, out_val=outputs[0] if len(outputs) == 1 else outputs)
        if not isinstance(flops, int):
            raise FormulaError(
                f"the formula registered with torch for {op.name} returned {flops!r}, not a whole number",
                "mend it where register_flop_formula is called",
            )
        return Cost(madds=flops // 2, flops=flops)

    return cost


def _call(func: OpOverload, op: OpRecord) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as they were given: the record also holds the defaults, which the formula may not take."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in func._schema.arguments:
        value = op.arguments[argument.name]
        given = not argument.has_default_value() or value != argument.default_value
        if argument.kwarg_only:
            if given:
                kwargs[argument.name] = _value(value)
        else:
            args.append((_value(value), given))
    while args and not args[-1][1]:
        args.pop()
    return [value for value, _ in args], kwargs


def _value(value: Any) -> Any:
    if isinstance(value, TensorRecord):
        return _tensor(value)
    return [_value(item) for item in value] if isinstance(value, tuple) else value


def _tensor(record: TensorRecord) -> torch.Tensor:
    dtype = getattr(torch, record.dtype)
    return torch.empty_strided(record.shape, record.stride, dtype=dtype, device="meta")
