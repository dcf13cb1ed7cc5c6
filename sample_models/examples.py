"""Let a factory carry the inputs that its model is usually called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from torch import nn

MakeInputs: TypeAlias = Callable[[], Any]
"""Returns a tensor, a tuple, a dict of keywords or ``(args, kwargs)``, on torch's default device."""

_Factory = TypeVar("_Factory", bound=Callable[..., nn.Module])


def example_inputs(*inputs: str | MakeInputs) -> Callable[[_Factory], _Factory]:
    """Attach ``example_inputs`` to a factory: a list of input specs, or the one callable that was given.

    Args:
        inputs: specs such as ``"1,3,224,224"`` or ``"ids=1,16:int64<1000"``, or a single callable.

    Raises:
        ValueError: a callable stands next to something else, or nothing was given.
    """
    specs = [spec for spec in inputs if isinstance(spec, str)]
    makers = [make for make in inputs if not isinstance(make, str)]
    if len(inputs) == 0 or len(makers) > 1 or (makers and specs):
        raise ValueError(f"example_inputs takes input specs or one callable, got {inputs!r}")

    def attach(factory: _Factory) -> _Factory:
        factory.example_inputs = makers[0] if makers else specs  # type: ignore[attr-defined]  # functions take attributes
        return factory

    return attach
