"""The operator tape: one dispatch mode that records every operator with the innermost running module."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import Parameter

from torchstat_cli.capture.dispatch.calls import argument_tensors, describe_call, operator_name, traits
from torchstat_cli.capture.dispatch.higher_order import GoesOn, describe_higher_order, run_higher_order
from torchstat_cli.capture.dispatch.keys import call_key
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.memory.liveness import Liveness
from torchstat_cli.capture.memory.transients import Transients
from torchstat_cli.capture.values.known import KnownValues
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.internals import HigherOrderOperator, OpOverload, TorchDispatchMode, no_torch_dispatch

Knows = Callable[[str, str, Collection[str]], bool]
"""Whether a formula exists for an operator's name, overload and tags."""

_PLAIN_TYPES = frozenset((torch.Tensor, Parameter))


@dataclass(frozen=True, slots=True)
class _Way:
    """How a tape runs an operator; settled at its first call."""

    view: OpRecord | None  # the record of every call, for a view
    decompose: bool  # a composite that the calculators do not know, but whose parts they may
    mutable: bool
    data_dependent: bool


class OperatorTape(TorchDispatchMode):
    """Records ``(operator, module)`` for everything that reaches torch's dispatcher while the mode is open.

    Under ``torch.inference_mode()`` these are the framework's operators (``conv2d``, ``scaled_dot_product_attention``),
    with gradients enabled ATen's.

    Args:
        running: stack of running module indices, kept by the capture hooks.
        knows: whether an operator's name, overload and tags have a formula; a composite without one is decomposed.
        memo: runs the operators, and on meta tensors answers repeated calls without torch's kernels.
        values: small known values beside meta tensors; None where tensors are real.
    """

    def __init__(
        self,
        running: list[int],
        knows: Knows,
        memo: Memo,
        values: KnownValues | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self.paused = False
        self.touched: set[int] = set()  # ids of the parameters that an operator was given
        self.first_event: dict[int, int] = {}  # module index -> position of its first operator
        self.liveness: Liveness | None = None  # told of every operator and its result, when memory is watched
        self.transients: Transients | None = None  # what composites on meta tensors hold inside
        self.locate: Callable[[tuple[Any, ...]], int] | None = None  # says whose work it is where no module runs
        self._running = running
        self._knows = knows
        self._memo = memo
        self._values = values
        self.goes_on: GoesOn = _goes_on if values is None else values.goes_on
        self._calls: dict[tuple[int, int], int] = {}  # (record number, module index) -> calls
        self._records: dict[int, OpRecord] = {}
        self._ways: dict[OpOverload, _Way] = {}

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave the dispatch function unwrapped: torch's wrapper imports the compiler on the first operator, 0.9 s."""
        return False

    @property
    def events(self) -> Iterable[tuple[OpRecord, int, int]]:
        """Every distinct ``(record, module index)`` with its number of calls, in order of first appearance."""
        return ((self._records[number], module, calls) for (number, module), calls in self._calls.items())

    def __torch_dispatch__(
        self,
        func: OpOverload | HigherOrderOperator,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        if types and any(kind not in _PLAIN_TYPES and _has_own_dispatch(kind) for kind in types):
            return NotImplemented  # a tensor subclass first turns the call into calls on plain tensors
        if isinstance(func, HigherOrderOperator):
            record, result = self._run_higher_order(func, args, kwargs)
        else:
            record, result = self._run(func, args, kwargs)
        if record is not None:
            module = self._running[-1] if self.locate is None else self.locate(args)
            number = id(record)
            self._records[number] = record
            call = number, module
            self._calls[call] = self._calls.get(call, 0) + 1
            if module not in self.first_event:
                self.first_event[module] = len(self.first_event)
            if self.liveness is not None:
                inside = 0
                if self.transients is not None and not isinstance(func, HigherOrderOperator):
                    inside = self.transients.of(func, args, kwargs, record)
                self.liveness.after(record, module, result, inside)
        return result

    def begin_phase(self) -> None:
        """Count operators afresh, in a phase of their own; ``events`` are those of the current phase."""
        self._calls = {}

    def _run_higher_order(
        self, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[OpRecord | None, Any]:
        with self:
            by_parts, result = run_higher_order(func, args, kwargs, self.goes_on)
        if by_parts:
            return None, result
        result = func(*args, **kwargs)
        return describe_higher_order(func, args, kwargs, result), result

    def _run(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[OpRecord | None, Any]:
        """The call's record and result; no record where the call was decomposed into calls that have their own."""
        way = self._ways.get(func) or self._choose_way(func)
        entry = None
        if way.view is not None or way.decompose:
            tensors = argument_tensors(args, kwargs)
        else:
            key, tensors = call_key(func, args, kwargs)
            entry = self._memo.find(key)
        for tensor in tensors:
            if type(tensor) is Parameter:
                self.touched.add(id(tensor))
        values = self._values
        if values is None:
            if entry is not None:
                return self._memo.repeat(entry, func, args, kwargs, tensors)
            return self._execute(way, func, args, kwargs)
        if values.stand_aside(tensors, writes=way.mutable):  # by far the most calls
            if way.view is not None:
                return way.view, func(*args, **kwargs)
            if entry is not None and not way.data_dependent:
                return self._memo.repeat(entry, func, args, kwargs, tensors)
        return self._run_beside(values, way, func, args, kwargs)

    def _run_beside(
        self, values: KnownValues, way: _Way, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[OpRecord | None, Any]:
        """The same where known values may answer, or have to be kept up to date."""
        if values.must_move(func, args, kwargs):
            if values.writes_known(func, args, kwargs):
                result = values.write(func, args, kwargs)
                return describe_call(func, args, kwargs, result), result
            args, kwargs = values.on_meta(func, args, kwargs)
        tensors = argument_tensors(args, kwargs)
        if values.must_answer(func, args, tensors):
            return self._answered(func, args, kwargs, values.answer(func, args, kwargs))
        try:
            record, result = self._execute(way, func, args, kwargs)
        except (RuntimeError, NotImplementedError) as error:
            if not values.may_rescue(tensors, error):
                raise
            return self._answered(func, args, kwargs, values.answer(func, args, kwargs))
        values.follow(func, args, kwargs, tensors, result)
        return record, result

    def _answered(
        self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> tuple[OpRecord, Any]:
        return traits(func).view or describe_call(func, args, kwargs, result), result

    def _execute(
        self, way: _Way, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[OpRecord | None, Any]:
        if way.view is not None:
            return way.view, func(*args, **kwargs)
        if way.decompose:
            with self:
                return None, func.decompose(*args, **kwargs)
        return self._memo.call(func, args, kwargs)

    def _choose_way(self, func: OpOverload) -> _Way:
        general = traits(func)
        known = not general.composite or self._knows(operator_name(func), func._overloadname, general.tags)
        way = self._ways[func] = _Way(general.view, not known, general.mutable, general.data_dependent)
        return way


def _goes_on(condition: Any, rounds: int) -> bool:
    return bool(condition)


def _has_own_dispatch(kind: type) -> bool:
    """Tensor subclasses that implement their own ``__torch_dispatch__`` wrap other tensors."""
    return getattr(kind, "__torch_dispatch__", no_torch_dispatch) is not no_torch_dispatch
