"""The operator tape: one dispatch mode that records every operator with the innermost running module."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from torch.nn import Parameter

from torchstat_cli.capture.dispatch.calls import Traits, operator_name, traits
from torchstat_cli.capture.dispatch.higher_order import GoesOn, describe_higher_order, run_higher_order
from torchstat_cli.capture.dispatch.keys import Call, Execute, Outcome, keyed_call, keyless_call
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.dispatch.nested import is_strided_nested, run_nested
from torchstat_cli.capture.memory.liveness import Liveness
from torchstat_cli.capture.memory.transients import Transients
from torchstat_cli.capture.values.known import KnownValues
from torchstat_cli.capture.values.store import is_fake
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.internals import HigherOrderOperator, OpOverload, TorchDispatchMode, no_torch_dispatch
from torchstat_cli.torch_access.kept import Kept
from torchstat_cli.torch_access.process import contents

Knows = Callable[[str, str, Collection[str]], bool]
"""Whether a formula exists for an operator's name, overload and tags."""

_PLAIN_TYPES = frozenset((torch.Tensor, Parameter))


@dataclass(frozen=True, slots=True)
class _Way:
    """How a tape runs an operator; settled at its first call."""

    traits: Traits
    make_call: Callable[[OpOverload, Traits, tuple[Any, ...], dict[str, Any]], Call]  # keyed where the memo runs it
    execute: Execute | None  # None for a composite that the calculators do not know, but whose parts they may


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
        self.counts = True  # off where only memory is watched
        self.drew = False  # from torch's generator
        self.touched: set[int] = set()  # ids of the parameters that an operator was given
        self.first_event: dict[int, int] = {}  # module index -> position of its first operator
        self.liveness: Liveness | None = None  # told of every operator and its result, when memory is watched
        self.transients: Transients | None = None  # what composites on meta tensors hold inside
        self.lent: list[ref[torch.Tensor]] | None = None  # what operators made, where a run must take it all back
        self.locate: Callable[[tuple[Any, ...]], int] | None = None  # says whose work it is where no module runs
        self.kept: Kept | None = None  # told of what is written to, where the model's own parameters run
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
        return ((self._records[number], module, calls) for (number, module), calls in list(self._calls.items()))

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
        if types and not _PLAIN_TYPES.issuperset(types):
            if any(map(_has_own_dispatch, types)):
                return NotImplemented  # a tensor subclass first turns the call into calls on plain tensors
            if isinstance(func, OpOverload) and func.namespace == "prim":
                return func(*args, **kwargs)  # a fake tensor is asked for its device
        if isinstance(func, OpOverload):
            record, result = self._run(func, args, kwargs)
        else:
            record, result = self._run_higher_order(func, args, kwargs)
        if record is not None:
            module = self._running[-1] if self.locate is None else self.locate(args)
            if self.counts:
                self._count(record, module)
            if self.liveness is not None:
                inside = 0
                if self.transients is not None and isinstance(func, OpOverload):
                    inside = self.transients.of(func, args, kwargs, record)
                self.liveness.after(record, module, result, inside, None if self.locate is None else args)
        if self.lent is not None:
            _lend(result, (*args, *kwargs.values()), self.lent)
        return result

    def _count(self, record: OpRecord, module: int) -> None:
        event = id(record), module
        calls = self._calls.get(event, 0)
        self._calls[event] = calls + 1
        if calls == 0:
            self._records[id(record)] = record  # kept, so that no other record gets its id
            self.first_event.setdefault(module, len(self.first_event))

    def note(self, record: OpRecord, module: int) -> None:
        """Count one call that did not come by the dispatcher."""
        self._count(record, module)

    def begin_phase(self) -> None:
        """Count operators afresh, in a phase of their own; ``events`` are those of the current phase."""
        self._calls = {}

    def _run_higher_order(self, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
        with self:
            by_parts, result = run_higher_order(func, args, kwargs, self.goes_on)
        if by_parts:
            return None, result
        result = func(*args, **kwargs)
        return describe_higher_order(func, args, kwargs, result), result

    def _run(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
        way = self._ways.get(func) or self._choose_way(func)
        call = way.make_call(func, way.traits, args, kwargs)
        for tensor in call.tensors:
            if type(tensor) is Parameter:
                self.touched.add(id(tensor))
        if self.kept is not None and way.traits.mutable:
            self.kept.before_write(call.written())
        if way.traits.repeatable or self.drew:
            return self._executed(call, way)
        before = contents(torch.get_rng_state())
        outcome = self._executed(call, way)
        self.drew = contents(torch.get_rng_state()) != before  # on meta nothing is drawn
        return outcome

    def _executed(self, call: Call, way: _Way) -> Outcome:
        execute = way.execute or self._decompose
        if call.key is None and way.execute == self._memo.run and any(map(is_strided_nested, call.tensors)):
            execute = self._run_nested
        return execute(call) if self._values is None else self._values.run(call, execute)

    def _choose_way(self, func: OpOverload) -> _Way:
        general = traits(func)
        if general.view is not None:
            way = _Way(general, keyless_call, _run_view)
        elif general.composite and not self._knows(operator_name(func), func._overloadname, general.tags):
            way = _Way(general, keyless_call, None)
        else:
            way = _Way(general, keyed_call, self._memo.run)
        self._ways[func] = way
        return way

    def _run_nested(self, call: Call) -> Outcome:
        """A record for each part of the nested arguments; all but the last are counted here."""
        (*others, last), result = run_nested(call)
        for record in others:
            self._count(record, self._running[-1] if self.locate is None else self.locate(call.args))
        return last, result

    def _decompose(self, call: Call) -> Outcome:
        with self:
            return None, call.func.decompose(*call.args, **call.kwargs)


def _run_view(call: Call) -> Outcome:
    return call.traits.view, call.func(*call.args, **call.kwargs)


def _lend(result: Any, given: tuple[Any, ...], lent: list[ref[torch.Tensor]]) -> None:
    """Note what an operator made; a tensor that it was given and hands back may be the model's own."""
    if isinstance(result, torch.Tensor):
        for argument in given:
            if argument is result:
                return
        lent.append(ref(result))
    elif isinstance(result, (tuple, list)):
        for part in result:
            _lend(part, given, lent)


def _goes_on(condition: Any, rounds: int) -> bool:
    return bool(condition)


def _has_own_dispatch(kind: type) -> bool:
    """Tensor subclasses that implement their own ``__torch_dispatch__`` wrap other tensors; a fake one wraps none."""
    return not is_fake(kind) and getattr(kind, "__torch_dispatch__", no_torch_dispatch) is not no_torch_dispatch
