"""The bytes that a composite operator holds while it runs, beyond its arguments and results.

Under inference mode the tape sees the framework's operators whole. What a composite allocates within itself and frees
again is known by a rule for the common ones, and found by running its parts once for the others.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from torchstat_cli.capture.cpu_kernels.convolutions import convolution_bytes
from torchstat_cli.capture.cpu_kernels.onednn_recurrent import recurrent_bytes
from torchstat_cli.capture.dispatch.calls import traits
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.memory.liveness import Liveness
from torchstat_cli.records import MemoryLog, OpRecord, TensorRecord
from torchstat_cli.torch_access.internals import OpOverload, TorchDispatchMode, has_kernel

_NOTHING_INSIDE = frozenset(
    f"aten.{name}"
    for name in (
        *("linear", "conv1d", "conv2d", "conv3d", "batch_norm", "dropout", "softmax", "log_softmax", "embedding"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d"),
        *("flatten", "reshape", "contiguous", "to", "relu6", "selu"),
    )
)
_INDEX_BYTES = 8  # pooling keeps the position of every maximum as int64
_STATISTIC_BYTES = 4  # attention keeps the log of its row sums in float32, whatever its dtype


_Known = dict[int, tuple[OpRecord, int]]
"""By the record's id, which is safe as long as the record is kept; equal calls share theirs."""

_of_memo: WeakKeyDictionary[Memo, tuple[_Known, _Known]] = WeakKeyDictionary()
"""What is known of the records of a memo, which runs share: on other devices, and on the CPU."""

_LIMIT = 50_000  # calls known of one memo before it starts afresh


class Transients:
    """Remembers what each distinct call holds inside, beside the memo that remembers the calls.

    Args:
        memo: answers the parts of a composite on meta tensors; None where they are real, and nothing may run twice.
        as_on_cpu: the run is one on the CPU or stands for one, whose kernels allocate below the dispatcher.
    """

    def __init__(self, memo: Memo | None, *, as_on_cpu: bool) -> None:
        self._memo = memo
        self._as_on_cpu = as_on_cpu
        self._known: _Known = {} if memo is None else _of_memo.setdefault(memo, ({}, {}))[as_on_cpu]
        if len(self._known) >= _LIMIT:
            self._known.clear()

    def of(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], record: OpRecord) -> int:
        """Bytes inside one call."""
        known = self._known.get(id(record))
        if known is None:
            known = self._known[id(record)] = (record, self._find(func, args, kwargs, record))
        return known[1]

    def _find(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], record: OpRecord) -> int:
        if self._as_on_cpu:
            for of_kernel in (convolution_bytes, recurrent_bytes):
                known = of_kernel(record)
                if known is not None:
                    return known
        if record.name in ("aten.mm", "aten.addmm"):
            return _copied_matrices(record)
        if record.name in _NOTHING_INSIDE or "view" in record.tags or _is_one_kernel(func):
            return 0
        if record.name in ("aten.layer_norm", "aten.group_norm"):
            return _statistics(record)
        if record.name.startswith("aten.max_pool"):
            return record.output.numel * _INDEX_BYTES
        if record.name == "aten.scaled_dot_product_attention":
            query = record.tensor("query")
            return query.numel // query.shape[-1] * _STATISTIC_BYTES if query.numel else 0
        if self._memo is None or "inplace" in record.tags:
            return 0
        if traits(func).data_dependent or not record.outputs:
            return 0  # its parts would ask meta tensors for values; what was known, or assumed, has answered the call
        parts = _Parts(self._memo)
        with parts:
            result = parts.decompose(func, args, kwargs)
        kept = parts.living_bytes()
        del result
        return max(0, parts.peak_bytes() - kept)


def _is_one_kernel(func: OpOverload) -> bool:
    """Whether devices run ``func`` in one piece: some composites have a kernel as well, or another overload has."""
    names = {func.name(), func.name().removesuffix(".vec")}
    return not traits(func).composite or any(map(_has_kernel, names))


def _has_kernel(name: str) -> bool:
    return bool(has_kernel(name, "CPU"))


def _copied_matrices(record: OpRecord) -> int:
    """Bytes of copies of matrices whose rows or columns do not lie one after the other, which no library multiplies."""
    names = ("self", "mat2") if record.name == "aten.mm" else ("mat1", "mat2")
    given = [record.tensor(name) for name in names]
    return sum(matrix.numel * matrix.itemsize for matrix in given if not _lies_in_lines(matrix))


def _lies_in_lines(matrix: TensorRecord) -> bool:
    (rows, columns), (down, right) = matrix.shape, matrix.stride
    return (right == 1 and down >= max(1, columns)) or (down == 1 and right >= max(1, rows))


class _Parts(TorchDispatchMode):
    """Runs the parts of a composite, down to operators that are none, and watches their memory."""

    def __init__(self, memo: Memo) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self._memo = memo
        self._liveness = Liveness()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as the operator tape

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if traits(func).composite:
            with self:
                return self.decompose(func, args, kwargs)
        if traits(func).view is not None:
            return func(*args, **kwargs)
        record, result = self._memo.call(func, args, kwargs)
        self._liveness.after(record, 0, result)
        return result

    def decompose(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return func.decompose(*args, **kwargs)

    def living_bytes(self) -> int:
        """Bytes alive now."""
        now = self._log()
        return sum(block.nbytes for block in now.blocks if block.end > len(now.operators))

    def peak_bytes(self) -> int:
        """Most bytes alive at once so far."""
        log = self._log()
        return max(
            (sum(b.nbytes for b in log.blocks if b.start <= index < b.end) for index in range(len(log.operators))),
            default=0,
        )

    def _log(self) -> MemoryLog:
        return self._liveness.log([""])


def _statistics(record: OpRecord) -> int:
    """Mean and deviation per normalised row or group."""
    input = record.tensor("input")
    if record.name == "aten.group_norm":
        rows = input.shape[0] * int(record.arguments["num_groups"])
    else:
        width = 1
        for size in record.arguments["normalized_shape"]:
            width *= size
        rows = input.numel // width if width else 0
    return 2 * rows * input.itemsize
