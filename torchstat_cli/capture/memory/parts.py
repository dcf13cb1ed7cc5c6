"""Run the parts of one operator on meta tensors, and watch what they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchstat_cli.capture.dispatch.calls import traits
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.kernel_steps import Kernels, steps_of
from torchstat_cli.capture.memory.liveness import Liveness
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.internals import OpOverload, TorchDispatchMode

Inside = Callable[[OpOverload, tuple[Any, ...], dict[str, Any], OpRecord], int]
"""What one call holds inside."""


class Parts(TorchDispatchMode):
    """Takes operators apart, composites and kernels whose steps are known, down to those that are neither.

    Args:
        memo: answers operators on meta tensors.
        kernels: whose steps are taken.
        inside: asked of every part that is not taken apart.
    """

    def __init__(self, memo: Memo, kernels: Kernels, inside: Inside) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self._memo, self._kernels, self._inside = memo, kernels, inside
        self._liveness = Liveness()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as the operator tape

    def bytes_inside(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Most bytes that ``func`` holds beyond its arguments and its result."""
        with self:
            result = self._take_apart(func, args, kwargs)
        kept = self._living_bytes()
        del result
        return max(0, self._peak_bytes() - kept)

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if traits(func).composite or steps_of(func, self._kernels) is not None:
            with self:
                return self._take_apart(func, args, kwargs)
        if traits(func).view is not None:
            return func(*args, **kwargs)
        record, result = self._memo.call(func, args, kwargs)
        self._liveness.after(record, 0, result, self._inside(func, args, kwargs, record))
        return result

    def _take_apart(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        steps = steps_of(func, self._kernels)
        return func.decompose(*args, **kwargs) if steps is None else steps(*args, **kwargs)

    def _living_bytes(self) -> int:
        log = self._liveness.log([""])
        return sum(block.nbytes for block in log.blocks if block.end > len(log.operators))

    def _peak_bytes(self) -> int:
        log = self._liveness.log([""])
        changes = [0] * (len(log.operators) + 1)
        for block in log.blocks:
            changes[min(block.start, len(log.operators))] += block.nbytes
            changes[min(block.end, len(log.operators))] -= block.nbytes
        live = most = 0
        for change in changes[: len(log.operators)]:
            live += change
            most = max(most, live)
        return most
