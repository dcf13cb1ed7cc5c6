"""The dtypes of parameters and products, and what an optimizer over low precision leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from torchstat_cli.records import ModuleFacts, TrainingSetup
from torchstat_cli.records.precision import Precision
from torchstat_cli.units import format_bytes

_LOW = {"bfloat16": 2, "float16": 2}
_STATES = 2  # of Adam and its kin: a mean and a mean of squares for each element
_FULL = 4  # bytes of an element in float32


def precision(
    modules: Iterable[ModuleFacts], compute: Mapping[str, int], setup: TrainingSetup | None = None
) -> Precision:
    """The dtypes of a model.

    Args:
        modules: with their parameters.
        compute: MAdds by the dtype of their results.
        setup: how it was trained.
    """
    params: Counter[str] = Counter()
    trainable: Counter[str] = Counter()
    seen: set[int] = set()
    for module in modules:
        for tensor in module.parameters:
            if tensor.key not in seen:
                seen.add(tensor.key)
                params[tensor.dtype] += tensor.numel
                if tensor.trainable:
                    trainable[tensor.dtype] += tensor.numel
    return Precision(dict(params), dict(trainable), dict(compute), _low_precision_states(trainable, setup))


def _low_precision_states(trainable: Mapping[str, int], setup: TrainingSetup | None) -> tuple[str, ...]:
    """What is to be said where Adam or its kin updates parameters of low precision alone; nothing elsewhere.

    Its states have the dtype of the parameters then. Mixed precision as most train it keeps a copy of the weights and
    both states in float32: 4 + 8 bytes per element.
    """
    if setup is None or "adam" not in setup.optimizer.lower() or len(trainable) != 1:
        return ()
    ((dtype, elements),) = trainable.items()
    if dtype not in _LOW or not elements:
        return ()
    now, full = elements * _LOW[dtype] * _STATES, elements * _FULL * (1 + _STATES)
    return (
        f"{setup.optimizer} over pure {dtype} parameters keeps its states in {dtype}: {format_bytes(now)}",
        f"float32 master weights and states would take {format_bytes(full)}",
        f"to see them, profile in float32 under autocast to {dtype}",
    )
