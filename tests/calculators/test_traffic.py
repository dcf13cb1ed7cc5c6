"""Bytes read and written, computed by hand; four bytes per element unless said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import make_op, tensor
from torchstat_cli.calculators.traffic import Traffic, distinct_bytes, touched_bytes, traffic
from torchstat_cli.records import TensorRecord


def moved(
    name: str, *outputs: TensorRecord, tags: tuple[str, ...] = (), overload: str = "default", **arguments: Any
) -> Traffic:
    return traffic(make_op(name, *outputs, tags=tags, overload=overload, **arguments))


@pytest.mark.parametrize(
    ("shape", "stride", "elements"),
    [
        ((3, 4), (4, 1), 12),
        ((3, 4), (0, 1), 4),  # expanded: only its storage
        ((3, 4), (0, 0), 1),
        ((3, 4), (0, 2), 4),  # expanded, with gaps between what repeats
        ((3, 4), (1, 3), 12),  # transposed
        ((3, 4), (8, 2), 12),  # every other column
        ((5, 3), (1, 1), 7),  # sliding windows overlap
        ((0, 4), (4, 1), 0),
        ((), (), 1),
    ],
)
def test_touched_bytes(shape: tuple[int, ...], stride: tuple[int, ...], elements: int) -> None:
    assert touched_bytes(tensor(*shape, stride=stride)) == 4 * elements


def test_distinct_bytes() -> None:
    base = tensor(4, 6)
    left, right = (tensor(4, 3, like=base, stride=(6, 1), offset=offset) for offset in (0, 3))
    assert distinct_bytes([base, base]) == 96
    assert distinct_bytes([left, right]) == 96
    assert distinct_bytes([base, left, right]) == 96  # not more than the storage holds
    assert distinct_bytes([base, tensor(4, 6)]) == 192
    assert distinct_bytes([]) == 0


def test_a_linear_reads_its_weight_once() -> None:
    given = {"input": tensor(100, 8), "weight": tensor(5, 8), "bias": tensor(5)}
    assert moved("aten.linear", tensor(100, 5), **given) == Traffic(3200 + 160 + 20, 2000)


def test_each_tensor_has_its_own_dtype() -> None:
    given = {"self": tensor(2, 8, dtype="bfloat16"), "mat2": tensor(5, 8, dtype="int8"), "scales": tensor(5)}
    assert moved("aten._weight_int8pack_mm", tensor(2, 5, dtype="bfloat16"), **given) == Traffic(32 + 40 + 20, 20)


def test_the_same_tensor_twice_is_read_once() -> None:
    x = tensor(10)
    assert moved("aten.mul", tensor(10), self=x, other=x) == Traffic(40, 40)


def test_views_move_nothing() -> None:
    x = tensor(3, 4)
    assert moved("aten.permute", tensor(4, 3, like=x), tags=("view",), self=x) == Traffic(0, 0)
    assert moved("aten.squeeze_", x, tags=("inplace",), self=x) == Traffic(0, 0)


def test_a_view_of_a_tensor_without_a_storage_moves_nothing() -> None:
    """The values of a sparse tensor lie in a storage of their own, which they share all the same."""
    assert moved("aten._values", tensor(5), tags=("view",), self=tensor(4, 4, storage_bytes=0)) == Traffic(0, 0)


def test_an_operator_that_hands_its_input_back_moves_nothing() -> None:
    x = tensor(3, 4)
    assert moved("aten.contiguous", x, self=x) == Traffic()
    assert moved("aten.contiguous", tensor(3, 4), self=x) == Traffic(48, 48)
    assert moved("aten.dropout", x, input=x, p=0.5, train=False) == Traffic()


def test_in_place_work_counts_both_ways() -> None:
    x = tensor(3, 4)
    assert moved("aten.relu_", x, tags=("inplace",), self=x) == Traffic(48, 48)
    assert moved("aten.add_", x, tags=("inplace",), self=x, other=tensor(4)) == Traffic(48 + 16, 48)


@pytest.mark.parametrize(
    ("name", "overload", "tags"),
    [("aten.relu_", "default", ()), ("aten.relu", "out", ()), ("mylib.scale", "default", ("inplace",))],
)
def test_any_one_sign_says_that_work_is_in_place(name: str, overload: str, tags: tuple[str, ...]) -> None:
    """A name with an underscore, an overload that takes its result, or a schema that marks what it writes."""
    x = tensor(3, 4)
    given = {"self": tensor(3, 4), "out": x} if overload == "out" else {"self": x}
    results = () if tags else (x,)  # an operator of one's own may return nothing
    assert moved(name, *results, overload=overload, tags=tags, **given) == Traffic(48, 48)


def test_overwriting_reads_only_the_source() -> None:
    x = tensor(3, 4)
    assert moved("aten.copy_", x, tags=("inplace",), self=x, src=tensor(4)) == Traffic(16, 48)
    assert moved("aten.zero_", x, tags=("inplace",), self=x) == Traffic(0, 48)
    assert moved("aten.uniform_", x, tags=("inplace",), self=x) == Traffic(0, 48)
    assert moved(
        "aten.add", x, tags=("inplace",), overload="out", self=tensor(3, 4), other=tensor(4), out=x
    ) == Traffic(64, 48)


def test_creation_writes_only() -> None:
    assert moved("aten.zeros", tensor(3, 4)) == Traffic(0, 48)
    assert moved("aten.zeros_like", tensor(3, 4), self=tensor(3, 4)) == Traffic(0, 48)
    assert moved("aten.randn", tensor(3, 4)) == Traffic(0, 48)
    assert moved("aten.empty", tensor(3, 4)) == Traffic()


@pytest.mark.parametrize("name", ["aten.sym_size", "aten.requires_grad_", "aten._fused_sdp_choice"])
def test_questions_touch_nothing(name: str) -> None:
    assert moved(name, self=tensor(3, 4)) == Traffic()


def test_reading_one_value_reads_it() -> None:
    assert moved("aten._local_scalar_dense", self=tensor()) == Traffic(4, 0)


def test_a_lookup_reads_what_it_puts_out() -> None:
    table, indices = tensor(1000, 8), tensor(5, dtype="int64")
    assert moved("aten.embedding", tensor(5, 8), weight=table, indices=indices) == Traffic(40 + 160, 160)
    assert moved("aten.index", tensor(5, 8), self=table, indices=(indices,)) == Traffic(200, 160)
    # repeated rows of a small table: not more than the table
    assert moved("aten.index_select", tensor(5, 8), self=tensor(2, 8), dim=0, index=indices) == Traffic(40 + 64, 160)


def test_a_gather_of_another_library_reads_all_of_what_it_names_differently() -> None:
    given = {"table": tensor(10), "index": tensor(5, dtype="int64")}
    assert moved("mylib.gather", tensor(5), **given) == Traffic(40 + 40, 20)


def test_an_embedding_bag_reads_the_rows_it_adds_up() -> None:
    given = {"weight": tensor(1000, 8), "indices": tensor(6, dtype="int64"), "offsets": tensor(2, dtype="int64")}
    assert moved("aten.embedding_bag", tensor(2, 8), **given) == Traffic(48 + 16 + 6 * 32, 64)


def test_dropout_in_place_does_nothing_in_evaluation() -> None:
    x = tensor(3, 4)
    assert moved("aten.dropout_", x, tags=("inplace",), self=x, p=0.5, train=False) == Traffic()
    assert moved("aten.dropout_", x, tags=("inplace",), self=x, p=0.5, train=True) == Traffic(48, 48)
    assert moved("aten.dropout_", x, tags=("inplace",), self=x, p=0.5) == Traffic(48, 48)


def test_dropout_that_makes_a_mask_copies_in_evaluation_too() -> None:
    made = tensor(3, 4), tensor(3, 4, dtype="bool")
    assert moved("aten.native_dropout", *made, input=tensor(3, 4), p=0.5, train=False) == Traffic(48, 48 + 12)


def test_scatters_write_the_places_they_name() -> None:
    table, rows = tensor(1000, 8), tensor(5, dtype="int64")
    given = {"self": table, "dim": 0, "index": rows, "source": tensor(5, 8)}
    assert moved("aten.index_copy_", table, tags=("inplace",), **given) == Traffic(40 + 160, 160)
    assert moved("aten.index_add_", table, tags=("inplace",), **given) == Traffic(40 + 160 + 160, 160)
    index = tensor(5, 8, dtype="int64")
    value = moved(
        "aten.scatter_", table, tags=("inplace",), overload="value", self=table, dim=0, index=index, value=1.0
    )
    assert value == Traffic(320, 160)


def test_a_scatter_that_reduces_reads_the_places_too() -> None:
    table, index = tensor(1000, 8), tensor(5, 8, dtype="int64")
    given = {"self": table, "dim": 0, "index": index, "src": tensor(5, 8)}
    assert moved("aten.scatter_", table, tags=("inplace",), **given) == Traffic(320 + 160, 160)
    found = moved("aten.scatter_", table, tags=("inplace",), overload="reduce", **given, reduce="add")
    assert found == Traffic(320 + 160 + 160, 160)


@pytest.mark.parametrize(
    ("shapes", "places"),
    [
        (((5, 1), (3,)), 15),  # 5 x 3, each with one column
        (((1, 5), (5,)), 5),
        (((0,), (1,)), 0),
    ],
)
def test_indices_of_an_index_put_broadcast_together(shapes: tuple[tuple[int, ...], ...], places: int) -> None:
    rows, columns = (tensor(*shape, dtype="int64") for shape in shapes)
    given = {"self": tensor(1000, 8), "indices": (rows, columns), "values": tensor()}
    read = 8 * (rows.numel + columns.numel) + 4
    assert moved("aten.index_put_", given["self"], tags=("inplace",), **given) == Traffic(read, 4 * places)


def test_values_of_an_index_put_say_how_many_a_mask_chooses() -> None:
    """Five rows that a mask of 1000 chooses, each with a column of its own: five places."""
    table, mask, columns = tensor(1000, 8), tensor(1000, dtype="bool"), tensor(5, dtype="int64")
    given = {"self": table, "indices": (mask, columns), "values": tensor(5)}
    assert moved("aten.index_put_", table, tags=("inplace",), **given) == Traffic(1000 + 40 + 20, 20)


def test_an_index_put_spreads_its_values() -> None:
    table, rows = tensor(1000, 8), tensor(5, dtype="int64")
    one = {"self": table, "indices": (rows,), "values": tensor(), "accumulate": False}
    assert moved("aten.index_put_", table, tags=("inplace",), **one) == Traffic(40 + 4, 160)
    accumulated = {**one, "accumulate": True}
    assert moved("aten.index_put_", table, tags=("inplace",), **accumulated) == Traffic(44 + 160, 160)
    column = {**one, "indices": (None, tensor(2, dtype="int64"))}
    assert moved("aten.index_put_", table, tags=("inplace",), **column) == Traffic(16 + 4, 8000)
    mask = {**one, "indices": (tensor(1000, 8, dtype="bool"),)}
    assert moved("aten.index_put_", table, tags=("inplace",), **mask) == Traffic(8000 + 4, 32000)


def test_training_statistics_are_written() -> None:
    running = {"running_mean": tensor(8), "running_var": tensor(8)}
    x = tensor(2, 8, 5)
    assert moved("aten.batch_norm", tensor(2, 8, 5), input=x, **running, training=False) == Traffic(320 + 64, 320)
    assert moved("aten.batch_norm", tensor(2, 8, 5), input=x, **running, training=True) == Traffic(320 + 64, 320 + 64)


def test_a_normalization_that_always_trains_writes_its_statistics() -> None:
    """It has no argument to say so: 8 means and 8 variances are read and written, and 16 numbers saved."""
    running = {"running_mean": tensor(8), "running_var": tensor(8)}
    made = tensor(2, 8, 5), tensor(8), tensor(8), tensor(0)
    found = moved("aten._batch_norm_with_update", *made, tags=("inplace",), input=tensor(2, 8, 5), **running)
    assert found == Traffic(320 + 64, 320 + 64 + 64)


def test_lists_updated_in_place() -> None:
    parameters, gradients = (tensor(3), tensor(4)), (tensor(3), tensor(4))
    found = moved("aten._foreach_add_", tags=("inplace",), self=parameters, other=gradients)
    assert found == Traffic(56, 28)
    states = {"exp_avgs": (tensor(3), tensor(4)), "exp_avg_sqs": (tensor(3), tensor(4)), "max_exp_avg_sqs": ()}
    found = moved("aten._fused_adam_", tags=("inplace",), self=parameters, grads=gradients, **states)
    assert found == Traffic(4 * 28, 3 * 28)


def test_an_expanded_input_counts_its_storage() -> None:
    base = tensor(4)
    wide = tensor(1000, 4, like=base, stride=(0, 1))
    assert moved("aten.add", tensor(1000, 4), self=wide, other=1) == Traffic(16, 16000)


def test_storages_that_capture_cannot_see_are_not_capped() -> None:
    hidden = tensor(3, 4, storage_bytes=0)
    assert moved("aten.sum", tensor(), self=hidden) == Traffic(48, 4)
