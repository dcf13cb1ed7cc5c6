"""What the memo takes for the same call, and what it must never remember."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._ops import OpOverload

from tests.capture.answers import answer
from torchstat_cli.capture.dispatch.memo import Memo, shared_memo
from torchstat_cli.records import OpRecord

aten = torch.ops.aten


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def records(memo: Memo, func: OpOverload, *calls: tuple[Any, ...], **kwargs: Any) -> list[OpRecord]:
    return [memo.call(func, args, kwargs)[0] for args in calls]


def test_equal_calls_share_one_record_and_get_tensors_of_their_own() -> None:
    memo = Memo()
    (first, one), (second, other) = (memo.call(aten.exp2.default, (meta(2, 3),), {}) for _ in range(2))
    assert first is second
    assert one is not other
    assert one.untyped_storage()._cdata != other.untyped_storage()._cdata


@pytest.mark.parametrize(
    ("func", "one", "other"),
    [
        (aten.add.Tensor, lambda: (meta(2), 1), lambda: (meta(2), 1.0)),
        (aten.add.Tensor, lambda: (meta(2, dtype=torch.int64), 1), lambda: (meta(2, dtype=torch.int64), True)),
        (aten.exp2.default, lambda: (meta(2, 3),), lambda: (meta(3, 2).t(),)),
        (aten.exp2.default, lambda: (meta(2),), lambda: (meta(2, dtype=torch.float64),)),
        (aten.exp2.default, lambda: (meta(2),), lambda: (torch.zeros(2),)),
        (aten.sum.dim_IntList, lambda: (meta(2, 3), [0]), lambda: (meta(2, 3), [1])),
        (aten.sum.dim_IntList, lambda: (meta(2, 3), [0], False), lambda: (meta(2, 3), [0], True)),
        (aten.stack.default, lambda: ([meta(2)],), lambda: ([meta(2), meta(2)],)),
    ],
)
def test_calls_that_are_told_apart(func: OpOverload, one: Callable[[], Any], other: Callable[[], Any]) -> None:
    memo = Memo()
    first, second = records(memo, func, one(), other())
    assert first is not second
    for args in (one(), other()):  # now from memory
        assert answer(memo.call(func, args, {})[1], args) == answer(func(*args), args)


def test_two_tensors_and_one_tensor_twice_are_told_apart() -> None:
    memo, tensor = Memo(), meta(2, 3)
    apart, together = records(memo, aten.add.Tensor, (meta(2, 3), meta(2, 3)), (tensor, tensor))
    assert [entry.storage for entry in apart.inputs] == [0, 1]
    assert [entry.storage for entry in together.inputs] == [0, 0]


def test_windows_of_one_storage_are_told_apart_by_where_they_lie() -> None:
    memo, base = Memo(), meta(4, 3)
    overlapping = memo.call(aten.add.Tensor, (base[:2], base[1:3]), {})[0]
    disjoint = memo.call(aten.add.Tensor, (base[:2], base[2:]), {})[0]
    assert [entry.offset for entry in overlapping.inputs] == [0, 3]
    assert [entry.offset for entry in disjoint.inputs] == [0, 6]


def test_conjugated_tensors_are_told_apart() -> None:
    """The one comes back as it is, the other is copied."""
    memo, tensor = Memo(), meta(3, dtype=torch.complex64)
    assert memo.call(aten.resolve_conj.default, (tensor,), {})[1] is tensor
    conjugated = tensor.conj()
    result = memo.call(aten.resolve_conj.default, (conjugated,), {})[1]
    assert (result is conjugated, result.is_conj()) == (False, False)


def test_negated_tensors_are_told_apart() -> None:
    memo, tensor = Memo(), meta(3)
    assert memo.call(aten.resolve_neg.default, (tensor,), {})[1] is tensor
    negated = torch._neg_view(tensor)
    result = memo.call(aten.resolve_neg.default, (negated,), {})[1]
    assert (result is negated, result.is_neg()) == (False, False)


def test_in_place_operators_return_their_own_argument() -> None:
    memo = Memo()
    for _ in range(2):
        tensor = meta(2, 3)
        assert memo.call(aten.mul_.Tensor, (tensor, meta(2, 3)), {})[1] is tensor


def test_out_arguments_are_returned() -> None:
    memo = Memo()
    for _ in range(2):
        out = meta(2, 3)
        assert memo.call(aten.add.out, (meta(2, 3), meta(2, 3)), {"out": out})[1] is out


def test_views_stay_views() -> None:
    memo = Memo()
    for _ in range(2):
        base = meta(2, 6)
        view = memo.call(aten.reshape.default, (base, [3, 4]), {})[1]
        assert view.untyped_storage()._cdata == base.untyped_storage()._cdata


def test_keyword_order_gives_the_same_result() -> None:
    memo, tensor = Memo(), meta(2)
    for kwargs in ({"dtype": torch.float64, "device": None}, {"device": None, "dtype": torch.float64}):
        assert memo.call(aten.ones_like.default, (tensor,), kwargs)[1].dtype is torch.float64


def test_generators_are_never_part_of_a_key() -> None:
    """Two calls with two generators: both run, and neither is remembered."""
    memo = Memo()
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        result = memo.call(aten.rand.generator, ([3],), {"generator": generator})[1]
        assert torch.equal(result, torch.rand(3, generator=torch.Generator().manual_seed(seed)))
    assert memo._entries == {}


def test_sparse_tensors_are_never_part_of_a_key() -> None:
    memo = Memo()
    for stored in (1, 3):
        indices = torch.arange(stored).repeat(2, 1)
        sparse = torch.sparse_coo_tensor(indices, torch.ones(stored), (4, 4), check_invariants=True)
        result = memo.call(aten.neg.default, (sparse,), {})[1]
        assert result._nnz() == stored
    assert memo._entries == {}


def test_shapes_that_depend_on_values_are_not_remembered() -> None:
    """Real tensors of one shape with 1, 2 and 0 elements that are not zero."""
    memo = Memo()
    for values in ([0, 7, 0], [1, 0, 2], [0, 0, 0]):
        count = sum(value != 0 for value in values)
        record, result = memo.call(aten.nonzero.default, (torch.tensor(values),), {})
        assert record.output.shape == tuple(result.shape) == (count, 1)


def test_real_kernels_run_every_time() -> None:
    memo = Memo()
    for value in (1.0, 2.0):
        assert memo.call(aten.exp2.default, (torch.tensor([value]),), {})[1].item() == 2**value


def test_without_skipping_only_records_are_shared() -> None:
    memo = Memo(skip_kernels=False)
    first, second = records(memo, aten.exp2.default, (meta(2),), (meta(2),))
    assert first is second
    assert [type(entry.plan) for entry in memo._entries.values()] == [object]


def test_refused_calls_leave_nothing_behind() -> None:
    memo = Memo()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            memo.call(aten.mm.default, (meta(2, 3), meta(2, 3)), {})
    assert memo._entries == {}


def test_full_memo_starts_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchstat_cli.capture.dispatch.memo._LIMIT", 3)
    memo = Memo()
    for size in range(5):
        assert memo.call(aten.exp2.default, (meta(size),), {})[1].shape == (size,)
    assert len(memo._entries) == 2


def test_memory_keeps_no_tensor_alive() -> None:
    import gc
    import weakref

    memo, tensor = Memo(), meta(2, 3)
    result = memo.call(aten.exp2.default, (tensor,), {})[1]
    alive = [weakref.ref(tensor), weakref.ref(result)]
    del tensor, result
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


def test_one_memo_serves_the_process() -> None:
    assert isinstance(shared_memo, Memo)
    assert shared_memo._skip_kernels
