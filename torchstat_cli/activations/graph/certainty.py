"""Notice what makes a traced graph another program than the model's: a trace keeps one run of its Python for ever."""

from __future__ import annotations

import dis
import random
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import Tensor, fx, nn

from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.torch_access.internals import any_module_hook
from torchstat_cli.torch_access.modules import modules_of

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_NOT_OURS = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training")
# What an answer of these decides is decided once, while tracing.
_QUESTIONS = frozenset(
    (
        "type", "is_tensor", "is_grad_enabled", "is_inference_mode_enabled", "is_autocast_enabled",
        "are_deterministic_algorithms_enabled", "get_default_dtype", "except",
    )
)  # fmt: skip
_CATCH = "except"
_VALUES = (bool, int, float, str, list, dict, set, deque)
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type, torch.dtype, torch.device)
_DEPTH = 4
_MOST = 64  # items of a container that are compared
READS_OF_VALUES = frozenset(
    ("bool", "int", "float", "index", "contains", "item", "tolist", "numpy", "equal", "allclose", "is_nonzero")
)
"""Operators that turn a tensor's values into Python's own, as :func:`~.function_mode.operator_name` calls them."""


def traced_through(root: nn.Module, options: TracerOptions) -> list[nn.Module]:
    """The modules whose forward a trace runs."""
    return [module for module in modules_of(root) if not options.is_leaf(module)]


def is_plain(modules: list[nn.Module]) -> bool:
    """Whether the modules show nothing, before any trace, that a graph would lose.

    Lost are hooks on containers, a forward of an instance's own, a train() of its own, one mode among others, and
    questions after types and modes, whose answers a graph keeps.
    """
    seen: set[int] = set()
    return not any_module_hook() and all(
        not any(vars(module).get(name) for name in _HOOKS)
        and not {"forward", "train", "__call__"} & vars(module).keys()
        and type(module).train is nn.Module.train
        and module.training == modules[0].training
        and not _QUESTIONS & set(_names_read(type(module).forward, type(module), seen))
        for module in modules
    )


def _names_read(function: Any, owner: type, seen: set[int]) -> Iterator[str]:
    """The names in the code of ``function`` and of what it calls by name, torch's own left out."""
    for current in _functions_run(function, owner, seen):
        yield from _names_in(current.__code__)
        for name in _names_in(current.__code__):
            yield str(getattr(current.__globals__.get(name), "__name__", ""))  # imported under another name, perhaps
        if _catches(current.__code__):
            yield _CATCH


def _functions_run(function: Any, owner: type, seen: set[int]) -> Iterator[FunctionType]:
    pending = [function]
    while pending:
        current = pending.pop()
        if not isinstance(current, FunctionType) or id(current) in seen or _is_torchs(current.__globals__):
            continue
        seen.add(id(current))
        yield current
        pending += [get() for get in _cells(current)]
        for name in _names_in(current.__code__):
            pending += [current.__globals__.get(name), getattr(owner, name, None)]


def _cells(function: FunctionType) -> list[Callable[[], Any]]:
    """What gives the variables of outer functions that a function reads."""
    return [partial(getattr, cell, "cell_contents", None) for cell in function.__closure__ or ()]


def read_outside(modules: Iterable[nn.Module]) -> list[Callable[[], Any]]:
    """What gives the variables outside of the modules, with plain values or containers, that their forwards read."""
    seen: set[int] = set()
    found: list[Callable[[], Any]] = []
    for module in modules:
        for function in _functions_run(type(module).forward, type(module), seen):
            names = dict.fromkeys(_names_in(function.__code__))
            found += [partial(function.__globals__.get, name) for name in names]
            found += _cells(function)
    return [get for get in found if isinstance(get(), _VALUES)]


def outside_state(read: Iterable[Callable[[], Any]]) -> list[Any]:
    """The values of those variables, to compare."""
    return [_frozen(get(), 0) for get in read]


def _catches(code: CodeType) -> bool:
    """Whether the code catches exceptions: tracing raises some that the model never sees."""
    found = [instruction.opname for instruction in dis.get_instructions(code)]
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    matches = "CHECK_EXC_MATCH" in found or "JUMP_IF_NOT_EXC_MATCH" in found
    return matches or found.count("POP_EXCEPT") > 2 * found.count("WITH_EXCEPT_START") or any(map(_catches, inner))


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _is_torchs(scope: Mapping[str, Any]) -> bool:
    name = str(scope.get("__name__"))
    return name == "torch" or name.startswith(("torch.", "torchstat_cli."))


class WatchedProxy(fx.Proxy):
    """A placeholder that notices when the model asks what it is: it is no tensor, and the answer may be another."""

    @property
    def __class__(self) -> type:
        """Asked by ``isinstance``, ``match`` and dispatching by class, where the type itself does not answer."""
        frame = sys._getframe(1)
        if frame.f_code is torch.is_tensor.__code__ or not _is_torchs(frame.f_globals):
            self._doubt("a question for the type of a tensor")
        return type(self)

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError(f"a placeholder stays one, and becomes no {kind.__name__}")

    def __getattr__(self, name: str) -> Any:
        """A placeholder for the attribute; a tensor would not have every one."""
        if not hasattr(Tensor, name) and not _is_torchs(sys._getframe(1).f_globals):
            self._doubt("a question for an attribute that tensors lack")
        return super().__getattr__(name)

    def _doubt(self, reason: str) -> None:
        self.tracer.doubts.add(reason)  # type: ignore[attr-defined]


class _Same:
    """Equal where it is the very same object; does not keep it alive, where that is possible."""

    def __init__(self, value: Any) -> None:
        self._get: Callable[[], Any]
        try:
            self._get = weakref.ref(value)
        except TypeError:
            self._get = lambda: value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._get() is not None and self._get() is other._get()

    __hash__ = None  # type: ignore[assignment]


def state_of(modules: Iterable[nn.Module], *, contents: bool = False) -> list[Any]:
    """What the forwards of ``modules`` can read, to compare: attributes, parts, hooks; never the same after a change.

    ``contents`` also tells whether a buffer was written to, which loading weights does as well.
    """
    return [_module_state(module, contents) for module in modules]


def _module_state(module: nn.Module, contents: bool) -> tuple[Any, ...]:
    own = vars(module)
    attributes = {
        name: (tuple(value) if value else ()) if name in _HOOKS else _frozen(value, 0)
        for name, value in own.items()
        if name not in _NOT_OURS
    }
    tensors = [*own["_parameters"].items(), *own["_buffers"].items()]
    parts = [(name, _Same(part) if part is not None else None) for name, part in (*own["_modules"].items(), *tensors)]
    versions = [t._version for t in own["_buffers"].values() if contents and t is not None and not t.is_inference()]
    return _Same(type(module)), _Same(type(module).forward), attributes, parts, versions


def _frozen(value: Any, depth: int) -> Any:
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, (Tensor, nn.Module, FunctionType)) or depth >= _DEPTH:
        return _Same(value)
    if isinstance(value, (Mapping, list, set, deque)) and len(value) > _MOST:
        return _Same(value), len(value)
    if isinstance(value, Mapping):
        return type(value), [(_frozen(key, depth + 1), _frozen(item, depth + 1)) for key, item in value.items()]
    if isinstance(value, (tuple, list, deque)):
        return type(value), [_frozen(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return type(value), set(value)
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    own = getattr(value, "__dict__", None)
    if own and not callable(value):
        return _Same(value), {name: _frozen(item, depth + 1) for name, item in own.items()}
    return _Same(value)
