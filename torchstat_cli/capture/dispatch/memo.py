"""Run operators once per distinct metadata: equal calls share one record, and on meta tensors one kernel run.

torch's meta kernels are Python and cost 60 to 200 microseconds each; what they compute depends on nothing but the
operator, its tensors' metadata and its other arguments. So the first call with given metadata runs the kernel (or a
rule of ours that gives the same), and later calls are answered with fresh tensors of the remembered metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from torchstat_cli.capture.dispatch.calls import traits
from torchstat_cli.capture.dispatch.complaints import complain_as_the_cpu
from torchstat_cli.capture.dispatch.dtypes import refuse_wrong_dtypes
from torchstat_cli.capture.dispatch.keys import Call, keyed_call
from torchstat_cli.capture.dispatch.meta_kernels import CORRECTIONS, infer
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.eager import without_trace_of_the_compiler
from torchstat_cli.torch_access.internals import OpOverload
from torchstat_cli.torch_access.trees import tensors_in

_META = torch.device("meta")  # read faster than the name
_LIMIT = 50_000  # distinct calls remembered by a process before it starts afresh


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A new contiguous-or-strided tensor."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class _Argument:
    """The positional argument of an in-place operator, returned as it came."""

    position: int


_NO_PLAN = object()


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of one distinct call."""

    record: OpRecord
    plan: Any  # _Fresh, _Argument, a tuple or list of those and None; or _NO_PLAN


class Memo:
    """Remembered calls; one may serve any number of runs.

    Args:
        skip_kernels: answer repeated calls on meta tensors from memory; off, kernels run and only records are shared.
    """

    def __init__(self, *, skip_kernels: bool = True) -> None:
        self._skip_kernels = skip_kernels
        self._entries: dict[Any, Entry] = {}  # by the key of the call

    def call(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[OpRecord, Any]:
        """The record of this call, shared with equal calls, and its result."""
        return self.run(keyed_call(func, traits(func), args, kwargs))

    def run(self, call: Call) -> tuple[OpRecord, Any]:
        """The same of a call that has its key."""
        entry = self._entries.get(call.key)
        if entry is None:
            return self._first(call)
        if entry.plan is not _NO_PLAN:
            return entry.record, _carry_out(entry.plan, call.args)
        result = self._result(call)
        record = entry.record if _fits(entry.record, result) else call.describe(result)  # a shape may depend on values
        return record, result

    def _first(self, call: Call) -> tuple[OpRecord, Any]:
        """A call of no entry, which it has afterwards unless it has no key."""
        if call.key is None:
            result = self._result(call) if call.func.name() in CORRECTIONS else call.execute()
            return call.describe(result), result
        on_meta = all(tensor.is_meta for tensor in call.tensors)
        if on_meta:
            refuse_wrong_dtypes(call.func, call.tensors)
        result = without_trace_of_the_compiler(lambda: self._result(call))
        record = call.describe(result)
        plan = _plan(call, result) if on_meta and self._skip_kernels else _NO_PLAN
        if len(self._entries) >= _LIMIT:
            self._entries.clear()
        self._entries[call.key] = Entry(record, plan)
        return record, result

    def _result(self, call: Call) -> Any:
        """The result of one call: by a rule of ours on meta tensors, else by torch's kernel."""
        result: Any = NotImplemented
        may_infer = self._skip_kernels or call.func.name() in CORRECTIONS
        try:
            if may_infer and call.tensors and all(tensor.is_meta for tensor in call.tensors):
                result = infer(call.func, call.args, call.kwargs)
            return call.execute() if result is NotImplemented else result
        except Exception as error:
            complain_as_the_cpu(call, error)
            raise


shared_memo = Memo()
"""The memo of this process: a second profile of a like model starts warm."""


def _fits(record: OpRecord, result: Any) -> bool:
    """Whether ``result`` has the shapes that were remembered."""
    if isinstance(result, torch.Tensor):
        # A nested tensor of the strided layout has no shape.
        return len(record.outputs) == 1 and not result.is_nested and record.output.shape == result.shape
    return [output.shape for output in record.outputs] == [tensor.shape for tensor in tensors_in(result)]


def _plan(call: Call, result: Any) -> Any:
    """How to answer the next equal call without running it; ``_NO_PLAN`` where that would not be the same."""
    if {torch.Tag.inplace_view, torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output} & set(call.func.tags):
        return _NO_PLAN
    taken = {tensor.untyped_storage()._cdata for tensor in call.tensors}
    return _plan_part(result, call.args, taken)


def _plan_part(result: Any, args: tuple[Any, ...], taken: set[int]) -> Any:
    if isinstance(result, torch.Tensor):
        for position, value in enumerate(args):
            if value is result:
                return _Argument(position)
        if not result.is_meta or result.layout is not torch.strided or type(result) is not torch.Tensor:
            return _NO_PLAN
        storage = result.untyped_storage()
        if storage._cdata in taken or result.storage_offset() != 0:
            return _NO_PLAN  # a view
        if storage.nbytes() > result.itemsize * (1 + sum(map(_reach, result.shape, result.stride()))):
            return _NO_PLAN  # it holds more than it shows
        taken.add(storage._cdata)
        return _Fresh(tuple(result.shape), result.stride(), result.dtype)
    if type(result) in (tuple, list):
        parts = [_plan_part(item, args, taken) for item in result]
        return _NO_PLAN if _NO_PLAN in parts else type(result)(parts)
    return None if result is None else _NO_PLAN


def _reach(size: int, stride: int) -> int:
    return max(0, size - 1) * stride


def _carry_out(plan: Any, args: tuple[Any, ...]) -> Any:
    if type(plan) is _Fresh:
        return torch.empty_strided(plan.shape, plan.stride, dtype=plan.dtype, device=_META)
    if type(plan) is _Argument:
        return args[plan.position]
    if plan is None:
        return None
    return type(plan)([_carry_out(part, args) for part in plan])
