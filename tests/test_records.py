"""The records: what they tell of tensors and calls, and how rows fold into their ancestors."""

from __future__ import annotations

import dataclasses

import pytest

from tests.calculators.making import make_op, tensor
from tests.report.profiles import PROVENANCE, TINY, module
from torchstat_cli.records import SUMMED, Cost, ModuleRecord, Profile, Totals

IMAGE = tensor(2, 3, 4)


def test_tensor() -> None:
    assert IMAGE.numel == 24
    assert tensor().numel == 1
    assert tensor(2, 0, 3).numel == 0


@pytest.mark.parametrize(
    ("dtype", "floating", "is_complex"),
    [
        ("float32", True, False),
        ("bfloat16", True, False),
        ("float8_e4m3fn", True, False),
        ("complex64", True, True),
        ("int64", False, False),
        ("bool", False, False),
        ("qint8", False, False),
    ],
)
def test_kinds_of_numbers(dtype: str, floating: bool, is_complex: bool) -> None:
    assert (tensor(1, dtype=dtype).is_floating, tensor(1, dtype=dtype).is_complex) == (floating, is_complex)


def test_operator_gives_its_tensors_by_name() -> None:
    other = tensor(4)
    op = make_op("aten.cat", IMAGE, tensors=(IMAGE, None, other), weight=other, bias=None, dim=0)
    assert op.output is IMAGE
    assert op.tensor("weight") is other
    assert op.tensors("tensors") == (IMAGE, other)
    assert op.tensors("bias") == ()
    assert (op.has_tensor("weight"), op.has_tensor("bias"), op.has_tensor("missing")) == (True, False, False)
    assert op.inputs == (IMAGE, other, other)
    for name in ("bias", "dim", "missing"):
        with pytest.raises(KeyError, match=name):
            op.tensor(name)


def test_tensors_are_found_in_nested_arguments() -> None:
    op = make_op("ns.op", state={"a": (IMAGE, [IMAGE])}, number=3)
    assert op.inputs == (IMAGE, IMAGE)


def test_costs_add_up() -> None:
    assert Cost(1, 2) + Cost(10, 20) == Cost(11, 22)


def totals(**numbers: int) -> Totals:
    nothing = {field.name: 0 for field in dataclasses.fields(Totals) if field.default is dataclasses.MISSING}
    return Totals(**{**nothing, **numbers})


def test_intensity() -> None:
    assert totals(flops=6, mem_read=1, mem_write=2).intensity == 2.0
    assert totals(flops=6).intensity == 0.0


def profile(*rows: ModuleRecord, containers: tuple[ModuleRecord, ...] = ()) -> Profile:
    sums = {column: sum(getattr(row, column) for row in rows) for column in SUMMED}
    return Profile(PROVENANCE, totals(**sums), rows, (), (), (), containers)


NET = profile(
    module("", "Net", kind="direct", params=1),
    module("stem", "Conv2d", params=2, duration_s=0.5),
    module("layer1.0.conv", "Conv2d", params=4, duration_s=1.0),
    module("layer1.0.norm", "Norm", params=8),
    module("layer1.1.conv", "Conv2d", params=16),
    module("layer10", "Linear", params=32),
    containers=(module("layer1", "Stage"), module("layer1.0", "Block", calls=3)),
)


def test_a_subtree_is_everything_at_or_below_a_path() -> None:
    assert NET.at("layer1").params == 4 + 8 + 16
    assert NET.at("layer1.0").params == 4 + 8
    assert NET.at("").params == 63
    assert NET.at("layer10").params == 32  # no part of layer1


def test_a_subtree_has_the_containers_own_type_and_calls() -> None:
    block = NET.at("layer1.0")
    assert (block.type, block.kind, block.calls, block.duration_s) == ("Block", "subtree", 3, 1.0)
    assert NET.at("layer10").kind == "leaf"
    assert NET.at("layer1.1").duration_s is None


@pytest.mark.parametrize("path", ["layer", "layer2", "layer1.0.conv.weight", "stem.0"])
def test_a_path_that_is_not_there(path: str) -> None:
    with pytest.raises(KeyError, match=f"no module '{path}'"):
        NET.at(path)


@pytest.mark.parametrize(
    ("depth", "params"),
    [
        (0, {"": 63}),
        (1, {"": 1, "stem": 2, "layer1": 28, "layer10": 32}),
        (2, {"": 1, "stem": 2, "layer1.0": 12, "layer1.1": 16, "layer10": 32}),
        (9, {row.path: row.params for row in NET.rows}),
    ],
)
def test_folding(depth: int, params: dict[str, int]) -> None:
    folded = NET.folded(depth)
    assert {row.path: row.params for row in folded.rows} == params
    assert folded.total == NET.total


def test_rows_of_the_hand_made_profile_sum_to_its_totals() -> None:
    for column in SUMMED:
        assert sum(getattr(row, column) for row in TINY.rows) == getattr(TINY.total, column)


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (TINY, "rows"),
        (TINY.total, "params"),
        (TINY.rows[0], "path"),
        (PROVENANCE, "spec"),
        (IMAGE, "shape"),
        (Cost(), "flops"),
    ],
)
def test_records_are_frozen(record: object, name: str) -> None:
    before = getattr(record, name)
    with pytest.raises(AttributeError):
        setattr(record, name, None)
    assert getattr(record, name) is before
