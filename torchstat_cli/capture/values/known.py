"""Small known values carried beside meta tensors.

Models ask tensors for values: is the mask all ones, how long is the sequence. A meta tensor has none. But where every
input of an operator is known (a constant, an index table, the integer inputs of the dummy run), the operator can be run
for real on the side, and the answer is exact.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.nn import Parameter

from torchstat_cli.capture.dispatch.calls import argument_tensors, operator_name, traits
from torchstat_cli.capture.values.assumptions import NUMBER_WORDS, assume
from torchstat_cli.capture.values.store import LIMIT, ValueStore, meta_like
from torchstat_cli.errors import ModelError
from torchstat_cli.torch_access.internals import OpOverload
from torchstat_cli.torch_access.trees import map_tensors, tensors_in
from torchstat_cli.units import format_shape

_MOST_ANSWERS = 10_000  # of one assumption in one run


_PLANS = {
    "_pack_padded_sequence": "lengths",
    "_pad_packed_sequence": "batch_sizes",
    "gru": "batch_sizes",
    "lstm": "batch_sizes",
    "rnn_relu": "batch_sizes",
    "rnn_tanh": "batch_sizes",
}
"""Operators on packed sequences, and the argument that lies on the CPU whatever the device."""


class ValueUnknownError(ModelError):
    """The model asked for a value that a meta tensor does not have; the run needs real tensors."""


class KnownValues(ValueStore):
    """What a run knows of the values of its meta tensors, and which operators it answers from that.

    Args:
        assume: answer questions about unknown values by a stated rule (``assumptions.py``) instead of raising.
    """

    def __init__(self, *, assume: bool = False) -> None:
        super().__init__()
        self.used = False  # a question was answered
        self.assumptions: Counter[str] = Counter()  # what was assumed, and how often
        self._assume = assume
        self._guesses: set[int] = set()  # ids of tensors whose value rests on a number that was assumed
        self._stale: dict[int, torch.Tensor] = {}  # real tensors by storage, to which unknown values were written

    def remember(self, tensor: torch.Tensor, value: torch.Tensor) -> None:
        """``tensor``, which is on meta, has the values of ``value``."""
        self._guesses.discard(id(tensor))
        super().remember(tensor, value)

    def stand_aside(self, tensors: list[torch.Tensor], *, writes: bool) -> bool:
        """Whether a call is none of its business: all on meta, nothing to answer and, known or forgotten, to follow."""
        if self._assume or not tensors:
            return False
        known = self._values
        unknown = False
        for tensor in tensors:
            if not tensor.is_meta:
                return False
            if id(tensor) not in known:
                unknown = True
            elif writes:
                return False
        return unknown

    def must_move(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether real tensors meet a meta tensor, are sent to meta, or have lost their values to a meta tensor."""
        tensors = argument_tensors(args, kwargs)
        on_meta = [tensor.is_meta for tensor in tensors]
        if any(on_meta):
            return not all(on_meta) or func._opname in _PLANS
        if tensors and func._opname in ("to", "_to_copy") and _names_meta(args, kwargs):
            return True  # moved before, its arrival moves nothing: as where everything lies on one device
        return bool(self._stale) and any(self._is_stale(tensor) for tensor in tensors)

    def writes_known(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether ``func`` writes known values to real tensors, so that it can do so for real."""
        if not traits(func).mutable or not all(not t.is_meta for t in _written(func, args, kwargs)):
            return False
        tensors = argument_tensors(args, kwargs)
        return self._all_known(tensors) and not any(self._is_stale(tensor) for tensor in tensors)

    def write(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run ``func`` on real tensors and known values."""
        return self._run_for_real(func, args, kwargs)

    def on_meta(
        self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with every real tensor moved to meta, small values known.

        A real tensor that the operator writes to stays behind with values that are no longer true.
        """
        if traits(func).mutable:
            for tensor in _written(func, args, kwargs):
                if not tensor.is_meta:
                    self._stale[tensor.untyped_storage()._cdata] = tensor
        moved: tuple[tuple[Any, ...], dict[str, Any]] = map_tensors((args, kwargs), self._moved)
        return self._with_plan(func, args, *moved) if func._opname in _PLANS else moved

    def _with_plan(
        self, func: OpOverload, given: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the plan of a packed sequence as a real tensor, as torch wants it on every device."""
        names = [argument.name for argument in func._schema.arguments]
        position = names.index(_PLANS[func._opname]) if _PLANS[func._opname] in names else len(args)
        if position >= len(args):
            return args, kwargs
        plan = given[position]
        if plan.is_meta:
            if not self.knows(plan):
                raise ValueUnknownError(f"{operator_name(func)} needs the lengths of sequences, and they are not known")
            self.used, plan = True, self.value(plan)
        return (*args[:position], plan, *args[position + 1 :]), kwargs

    def _is_stale(self, tensor: torch.Tensor) -> bool:
        return not tensor.is_meta and tensor.untyped_storage()._cdata in self._stale

    def _moved(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_meta:
            return tensor
        if self._stale and self._is_stale(tensor):
            return meta_like(tensor)
        if isinstance(tensor, Parameter):
            return self.twin(tensor)
        moved = meta_like(tensor)  # a new one each time: the run may have written to the real tensor since
        if tensor.numel() <= LIMIT:
            self.remember(moved, tensor.detach().to("cpu", copy=True))
        return moved

    def must_answer(self, func: OpOverload, args: tuple[Any, ...], tensors: list[torch.Tensor]) -> bool:
        """Whether ``func`` needs values that its meta tensors do not have."""
        if not traits(func).data_dependent or not any(tensor.is_meta for tensor in tensors):
            return False
        if func._opname == "index":  # with integer indices the shape of the result is known
            return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors_in(args[1]))
        if func._opname == "one_hot":  # with a number of classes so is this one's
            return (args[1] if len(args) > 1 else -1) < 0
        return True

    def may_rescue(self, tensors: list[torch.Tensor], error: Exception) -> bool:
        """Whether values would help where a kernel failed on meta tensors with ``error``."""
        if any(sign in str(error).lower() for sign in ("meta tensor", "data-independent")):
            return True
        return isinstance(error, NotImplementedError) and (self._assume or self._all_known(tensors))

    def answer(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of an operator that needs values.

        Raises:
            ValueUnknownError: a value is not known.
        """
        tensors = argument_tensors(args, kwargs)
        if self._all_known(tensors):
            if self._any_guessed(tensors):
                self._note(NUMBER_WORDS)
            else:
                self.used = True
            result = self._run_for_real(func, args, kwargs)
            return result if _leaves_meta(args, kwargs) else map_tensors(result, self.twin)
        if self._assume:
            assumption = assume(func, args, kwargs)
            if assumption is not None:
                self._note(assumption.words)
                return assumption.result
        shapes = ", ".join(format_shape(tensor.shape) for tensor in tensors)
        raise ValueUnknownError(
            f"{operator_name(func)} needs the values of a tensor of shape {shapes}, and meta tensors have none"
        )

    def _note(self, words: str) -> None:
        """Count an assumption.

        Raises:
            ValueUnknownError: it was made so often that a loop must be asking which no assumed answer ends.
        """
        self.assumptions[words] += 1
        if self.assumptions[words] > _MOST_ANSWERS:
            raise ValueUnknownError(f"a loop does not end when {words}")

    def goes_on(self, condition: Any, rounds: int) -> bool:
        """Whether a loop goes on after ``rounds``; where values are assumed, one of unknown condition runs once."""
        unknown = isinstance(condition, torch.Tensor) and condition.is_meta and not self.knows(condition)
        if self._assume and (unknown or id(condition) in self._guesses):
            self._note("a loop whose condition is unknown is taken to run once")
            return rounds == 0
        return bool(condition)

    def follow(
        self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[torch.Tensor], result: Any
    ) -> None:
        """Keep the values up to date after ``func`` ran on meta: known in, known out; unknown written in, forgotten."""
        if tensors and not self._values and not self._assume:
            return
        if self._all_known(tensors) and traits(func).repeatable:
            outputs = list(tensors_in(result))
            if outputs and all(tensor.is_meta and tensor.numel() <= LIMIT for tensor in outputs):
                values = tensors_in(self._run_for_real(func, args, kwargs))
                guessed = self._any_guessed(tensors)
                for tensor, value in zip(outputs, values, strict=True):
                    self.remember(tensor, value.zero_() if traits(func).uninitialised else value)
                    if guessed:
                        self._guesses.add(id(tensor))
                return
        if traits(func).mutable:
            for tensor in _written(func, args, kwargs):
                self.forget(tensor)
        if self._assume:
            self._guess_numbers(result)

    def _guess_numbers(self, result: Any) -> None:
        """Unknown numbers are 1 from here on, so that what is computed from them and asked later fits together."""
        for tensor in tensors_in(result):
            if tensor.is_meta and tensor.dim() == 0 and tensor.dtype is not torch.bool and not self.knows(tensor):
                self.remember(tensor, torch.ones((), dtype=tensor.dtype))
                self._guesses.add(id(tensor))

    def _any_guessed(self, tensors: list[torch.Tensor]) -> bool:
        return bool(self._guesses) and any(id(tensor) in self._guesses for tensor in tensors)

    def _all_known(self, tensors: list[torch.Tensor]) -> bool:
        return all(self.knows(tensor) or not tensor.is_meta for tensor in tensors)

    def _run_for_real(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        real_args, real_kwargs = map_tensors((args, kwargs), lambda t: self.value(t) if t.is_meta else t)
        if real_kwargs.get("device") is not None:
            real_kwargs["device"] = torch.device("cpu")
        return func(*(_off_meta(value) for value in real_args), **real_kwargs)


def _names_meta(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(value, torch.device) and value.type == "meta" for value in (*args, *kwargs.values()))


def _written(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """The tensors that ``func`` writes to."""
    return [
        tensor
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
        for tensor in tensors_in(args[position] if position < len(args) else kwargs.get(argument.name))
    ]


def _leaves_meta(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the call asks for its result on a real device, as ``.cpu()`` does."""
    named = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.device)]
    return bool(named) and named[-1].type != "meta"


def _off_meta(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, torch.device) else value
