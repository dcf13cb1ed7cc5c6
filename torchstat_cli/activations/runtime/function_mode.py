"""Observe operators that no module owns: `F.relu`, `+`, `cat`, named as torch.fx would name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.overrides import TorchFunctionMode

from torchstat_cli.torch_access.internals import function_modes, pop_function_mode, push_function_mode
from torchstat_cli.torch_access.modes import leave_function_mode

Heard = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]
"""Called with the operator's name, its arguments and its result."""

# What Python spells with a sign reaches torch under other names than the operator module's, by which torch.fx goes.
_METHOD_SIGNS = {
    "add_": "add",
    "sub_": "sub",
    "mul_": "mul",
    "div": "truediv",
    "div_": "truediv",
    "true_divide": "truediv",
    "floor_divide": "floordiv",
    "remainder": "mod",
    "bitwise_and": "and_",
    "bitwise_or": "or_",
    "__radd__": "add",
    "__rsub__": "sub",
    "__rmul__": "mul",
    "__rdiv__": "truediv",
    "__rtruediv__": "truediv",
    "__rpow__": "pow",
    "__rmatmul__": "matmul",
    "__get__": "getattr",
}


def operator_name(function: Callable[..., Any]) -> str:
    """The name that torch.fx gives a call of ``function``: ``add``, ``flatten``, ``getitem``.

    ``x += y`` and ``x.add_(y)`` look the same from here; the sign, which models use far more, gives the name.
    """
    name: str = getattr(function, "__name__", type(function).__name__)
    if "Tensor" in getattr(function, "__qualname__", "") or name == "__get__":
        name = _METHOD_SIGNS.get(name, name)
    if name.startswith("__") and name.endswith("__"):
        return name.strip("_")
    return name.split(".")[0]


class OperatorMode(TorchFunctionMode):
    """Hears every function on tensors that Python code calls; functions called inside another are not heard."""

    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard
        self.deaf = False  # while we compute something ourselves

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self.deaf:
            self._heard(operator_name(func), args, kwargs, result)
        return result

    def pause(self) -> bool:
        """Leave the stack of modes until :meth:`resume`, if on top of it.

        The mere presence of a mode moves some torch modules off their native path, which changes their last bits.
        """
        if _top_mode() is not self:
            return False
        pop_function_mode()
        return True

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        push_function_mode(self)


def _top_mode() -> object:
    stack = function_modes()
    return stack[-1] if stack else None


@contextmanager
def listening(mode: OperatorMode) -> Iterator[None]:
    """Open ``mode``; close it also where it was paused when the block ended."""
    push_function_mode(mode)
    try:
        yield
    finally:
        leave_function_mode(mode)
