"""Operators that take functions (``torch.cond``, loops, ``flex_attention``): what their functions do is what they cost.

torch hands such a call to a dispatch mode whole. Here the functions run once as often as a real run calls them, and
every operator inside reaches the tape by itself. Control flow runs so already above autograd: torch differentiates it
through a graph that its compiler makes, and without the compiler the weights that a function closes over would learn
nothing.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

import torch

from torchstat_cli.capture.dispatch.calls import describe_tensors
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.internals import (
    DispatchKey,
    HigherOrderOperator,
    current_dispatch_mode,
    running_transforms,
)
from torchstat_cli.torch_access.patching import Switch, replaced

GoesOn = Callable[[Any, int], bool]
"""Whether a loop goes on, given its condition and how often it ran."""


def run_higher_order(
    func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any], goes_on: GoesOn
) -> tuple[bool, Any]:
    """Run ``func`` by its parts, under whatever modes are open.

    Returns:
        Whether its parts were run, and the result; (False, None) for an operator whose parts nobody can run.
    """
    name = func.name()
    if name in _CONTROL_FLOW:
        call = _as_known(_CONTROL_FLOW[name], args, kwargs)
        return (False, None) if call is None else (True, call(goes_on))
    if name in _PLAIN and DispatchKey.CompositeExplicitAutograd in func.py_kernels:
        return True, func.py_kernels[DispatchKey.CompositeExplicitAutograd](*args, **kwargs)
    return False, None


def _as_known(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[GoesOn], Any] | None:
    """The call of a replacement with the arguments of torch's operator; None where they ask for what it does not know.

    Newer torch adds arguments: where nothing is set, they change nothing and are left out.
    """
    signature = _signature(function)
    known = {name: value for name, value in kwargs.items() if name in signature.parameters or _matters(name, value)}
    try:
        bound = signature.bind(None, *args, **known)
    except TypeError:
        return None
    return lambda goes_on: function(goes_on, *bound.args[1:], **bound.kwargs)


def _matters(name: str, value: Any) -> bool:
    """Whether an argument that is new asks for something: who runs the parts themselves writes where they write."""
    unset = value is None or value is False or (isinstance(value, (str, tuple, list, dict)) and not value)
    return not unset and name != "mutated_arg_indices"


_signature = cache(inspect.signature)


def control_flow_by_parts() -> AbstractContextManager[None]:
    """Run ``cond``, ``scan``, ``map`` and ``while_loop`` as plain Python wherever an operator tape is listening."""
    return replaced(HigherOrderOperator, "__call__", _by_parts)


def _by_parts(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: HigherOrderOperator, /, *args: Any, **kwargs: Any) -> Any:
        tape: Any = current_dispatch_mode()
        listening = hasattr(tape, "goes_on") and not tape.paused  # other modes have no such thing
        if not listening or self.name() not in _CONTROL_FLOW or _is_transformed():
            return original(self, *args, **kwargs)
        by_parts, result = run_higher_order(self, args, kwargs, tape.goes_on)
        return result if by_parts else original(self, *args, **kwargs)

    return call


def _is_transformed() -> bool:
    """Whether ``vmap`` or its like is at work, which have rules of their own for such operators."""
    return running_transforms() is not None


@contextmanager
def plain_flex_attention() -> Iterator[None]:
    """Let ``flex_attention`` run its plain form without advice to compile it, and take meta tensors as well."""
    module = sys.modules.get("torch.nn.attention.flex_attention")
    with ExitStack() as stack:
        if hasattr(module, "_validate_device"):  # not in every torch
            stack.enter_context(replaced(module, "_validate_device", lambda original: lambda *tensors: None))
        stack.enter_context(_without_advice())
        yield


@contextmanager
def _flag_set() -> Iterator[None]:
    module: Any = sys.modules.get("torch.nn.attention.flex_attention")
    before = getattr(module, _FLAG, None)  # not in every torch
    if before is not None:
        setattr(module, _FLAG, True)
    try:
        yield
    finally:
        if before is not None:
            setattr(module, _FLAG, before)


_FLAG = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"
_without_advice = Switch(_flag_set)


def describe_higher_order(
    func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> OpRecord:
    """The record of a call as a whole, for which nobody has a formula."""
    inputs, outputs = describe_tensors((args, kwargs), result)
    return OpRecord(f"higher_order.{func.name()}", "default", {"operands": inputs}, outputs)


def _cond(
    goes_on: GoesOn, pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()
) -> Any:
    return true_fn(*operands) if pred else false_fn(*operands)


def _while_loop(
    goes_on: GoesOn,
    cond_fn: Callable[..., Any],
    body_fn: Callable[..., Any],
    carried_inputs: Any,
    additional_inputs: Any = (),
) -> Any:
    values, rounds = tuple(carried_inputs), 0
    while goes_on(cond_fn(*values, *additional_inputs), rounds):
        values = tuple(body_fn(*values, *additional_inputs))
        rounds += 1
    return tuple(value.clone() if isinstance(value, torch.Tensor) else value for value in values)


def _scan(goes_on: GoesOn, combine_fn: Callable[..., Any], init: Any, xs: Any, additional_inputs: Any = ()) -> Any:
    """Step by step along the first axis; the carried values, then every step's outputs stacked."""
    carried, steps = tuple(init), []
    for index in range(xs[0].shape[0]):
        result = tuple(combine_fn(*carried, *(x[index] for x in xs), *additional_inputs))
        carried = result[: len(carried)]
        steps.append(result[len(carried) :])
    stacked = (None if parts[0] is None else torch.stack(parts) for parts in zip(*steps, strict=True))
    return (*carried, *stacked)


def _map(goes_on: GoesOn, f: Callable[..., Any], xs: Any, pos_args: Any = ()) -> Any:
    steps = [f(*(x[index] for x in xs), *pos_args) for index in range(xs[0].shape[0])]
    return tuple(None if parts[0] is None else torch.stack(parts) for parts in zip(*steps, strict=True))


_PLAIN = ("flex_attention", "flex_attention_backward", "invoke_subgraph", "out_dtype")  # torch's own form will do
_CONTROL_FLOW: dict[str, Callable[..., Any]] = {
    "cond": _cond,
    "scan": _scan,
    "map_impl": _map,
    "while_loop": _while_loop,
}
"""By the name of torch's operator: what runs in its place, with the names of its arguments as torch has them."""
