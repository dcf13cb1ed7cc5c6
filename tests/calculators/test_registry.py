"""Claims, lookup order, layers, and the one place where integer work stops being FLOPs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import make_op, tensor
from torchstat_cli.calculators import Formula, Registry, builtin_registry, user_registry
from torchstat_cli.errors import FormulaError
from torchstat_cli.records import Cost, OpRecord


def fixed(flops: int, madds: int = 0) -> Formula:
    """A formula that always says the same."""

    def formula(op: OpRecord) -> Cost:
        """The same for every call."""
        return Cost(madds, flops)

    return formula


@pytest.fixture
def registry() -> Registry:
    filled = Registry()
    filled.formula("mylib.op")(fixed(1))
    filled.formula("mylib.op.special")(fixed(2))
    filled.free("mylib.move", reason="moves data")
    return filled


@pytest.mark.parametrize(
    ("name", "overload", "expected"),
    [
        ("mylib.op", "default", 1),
        ("mylib.op", "other", 1),
        ("mylib.op", "special", 2),
        ("mylib.op", "special_out", 2),
        ("mylib.op", "out", 1),
        ("mylib.op_", "default", 1),
        ("mylib.op_", "special", 2),
        ("mylib.move", "default", 0),
        ("mylib.move_", "default", 0),
    ],
)
def test_lookup_goes_from_the_overload_to_the_packet_to_the_in_place_twin(
    registry: Registry, name: str, overload: str, expected: int
) -> None:
    assert registry.cost(make_op(name, tensor(3), overload=overload)) == Cost(flops=expected)


def test_an_in_place_twin_may_have_its_own_formula(registry: Registry) -> None:
    registry.formula("mylib.op_")(fixed(7))
    assert registry.cost(make_op("mylib.op_", tensor(3))) == Cost(flops=7)
    assert registry.cost(make_op("mylib.op", tensor(3))) == Cost(flops=1)


def test_unknown_is_none_and_not_zero(registry: Registry) -> None:
    op = make_op("mylib.mystery", tensor(3))
    assert registry.cost(op) is None
    assert not registry.knows(op)
    assert registry.knows("mylib.move")
    assert registry.knows("mylib.op", "special")
    assert registry.knows(make_op("mylib.op", tensor(3)))


def test_tags_answer_only_where_no_claim_does(registry: Registry) -> None:
    assert registry.cost(make_op("mylib.new_view", tensor(3), tags=("view",))) == Cost()
    assert registry.cost(make_op("mylib.new_gate", tensor(2, 3), tags=("pointwise",))) == Cost(flops=6)
    assert registry.cost(make_op("mylib.op", tensor(2, 3), tags=("pointwise",))) == Cost(flops=1)
    assert registry.cost(make_op("mylib.nothing", tags=("pointwise",))) == Cost()


@pytest.mark.parametrize("claimed", ["mylib.op", "mylib::op", "mylib.move", "mylib.op.special"])
def test_a_second_claim_raises(registry: Registry, claimed: str) -> None:
    with pytest.raises(FormulaError, match="two claims on the operator"):
        registry.formula(claimed)(fixed(3))
    with pytest.raises(FormulaError, match="two claims on the operator"):
        registry.free(claimed, reason="again")


def test_a_layer_sees_below_and_changes_nothing_there(registry: Registry) -> None:
    layer = registry.child()
    layer.formula("mylib::own")(fixed(5))
    assert layer.cost(make_op("mylib.own", tensor(1))) == Cost(flops=5)
    assert layer.cost(make_op("mylib.op", tensor(1))) == Cost(flops=1)
    assert registry.cost(make_op("mylib.own", tensor(1))) is None
    with pytest.raises(FormulaError, match="two claims"):
        layer.formula("mylib.op")(fixed(9))
    assert [entry.operator for entry in layer.entries()] == ["mylib.move", "mylib.op", "mylib.op.special", "mylib.own"]


def test_the_user_layer_lies_over_the_built_in_registry() -> None:
    assert user_registry() is user_registry()
    assert user_registry().knows("aten.conv2d")
    with pytest.raises(FormulaError, match=r"aten\.conv2d"):
        user_registry().formula("aten::conv2d")(fixed(1))


@pytest.mark.parametrize(
    "name", ["conv2d", "", ".", "mylib.", "a.b.c.d", "my lib::op", "torch.ops.mylib.op", fixed, 3, None]
)
def test_what_names_no_operator_is_refused(name: Any) -> None:
    with pytest.raises(FormulaError, match="no operator name"):
        Registry().formula(name)
    with pytest.raises(FormulaError, match="no operator name"):
        Registry().free(name, reason="moves data")


def test_a_formula_for_nothing_is_refused() -> None:
    with pytest.raises(FormulaError, match="no operator name"):
        Registry().formula()


def test_a_refused_claim_leaves_nothing_behind(registry: Registry) -> None:
    with pytest.raises(FormulaError, match=r"two claims on the operator mylib\.op:"):
        registry.formula("mylib.fresh", "mylib.op")(fixed(3))
    with pytest.raises(FormulaError, match=r"two claims on the operator mylib\.twin:"):
        registry.free("mylib.twin", "mylib::twin", reason="said twice")
    assert not registry.knows("mylib.fresh")
    assert not registry.knows("mylib.twin")


def test_an_entry_describes_its_formula() -> None:
    registry = Registry()

    @registry.formula("mylib.op", source="the paper")
    def formula(op: OpRecord) -> Cost:
        """Two per element.

        More words that nobody lists.
        """
        return Cost(flops=2 * op.output.numel)

    (entry,) = registry.entries()
    assert (entry.operator, entry.words, entry.source) == ("mylib.op", "Two per element", "the paper")
    assert formula(make_op("mylib.op", tensor(4))) == Cost(flops=8)


@pytest.mark.parametrize(
    ("given", "out", "expected"),
    [
        ("float32", "float32", Cost(10, 25)),
        ("bfloat16", "bool", Cost(10, 25)),
        ("int64", "float32", Cost(10, 25)),
        ("int8", "int32", Cost(10, 0)),
        ("quint8", "quint8", Cost(10, 0)),
        ("bool", "bool", Cost(10, 0)),
    ],
)
def test_work_without_any_floating_tensor_is_no_flops_but_keeps_its_madds(given: str, out: str, expected: Cost) -> None:
    registry = Registry()
    registry.formula("mylib.product")(fixed(25, madds=10))
    op = make_op("mylib.product", tensor(5, dtype=out), self=tensor(5, dtype=given))
    assert registry.cost(op) == expected


def test_a_formula_that_raises_names_operator_and_shapes(registry: Registry) -> None:
    @registry.formula("mylib.broken")
    def broken(op: OpRecord) -> Cost:
        return Cost(flops=op.tensor("weight").numel)

    with pytest.raises(FormulaError, match=r"mylib\.broken\.default failed: KeyError: 'weight'") as caught:
        registry.cost(make_op("mylib.broken", tensor(3), input=tensor(2, 5)))
    assert "input=[2, 5]" in str(caught.value)


@pytest.mark.parametrize("answer", [12, "12", Cost(flops=-1), Cost(madds=1.5), object()])
def test_a_formula_that_answers_nonsense_is_named(answer: object) -> None:
    registry = Registry()
    registry.formula("mylib.odd")(lambda op: answer)  # type: ignore[arg-type,return-value]
    with pytest.raises(FormulaError, match="not a Cost of whole numbers"):
        registry.cost(make_op("mylib.odd", tensor(3)))


def test_a_formula_may_decline_a_call() -> None:
    registry = Registry()
    registry.formula("mylib.packed")(lambda op: None)
    assert registry.knows("mylib.packed")
    assert registry.cost(make_op("mylib.packed", tensor(3))) is None


def test_every_built_in_entry_can_be_listed() -> None:
    entries = builtin_registry().entries()
    assert len(entries) > 1000
    for entry in entries:
        assert entry.words
        assert entry.words != "no description"
        assert entry.source
        assert entry.convention == (
            "free by definition" if entry.formula is None else "2 per MAdd, 1 per elementwise operation"
        )
