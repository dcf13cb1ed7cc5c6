"""Sorting, ranking and searching: comparisons of an ideal comparison sort."""

from __future__ import annotations

from torchstat_cli.calculators.counting import argument, ceil_log2, first_tensor, length_along, per_element
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

_SOURCE = "comparison sort, n * ceil(log2 n) comparisons"


@BUILTIN.formula(
    "aten.sort", "aten.argsort", "aten.msort", "aten.kthvalue", "aten.median", "aten.nanmedian", source=_SOURCE
)
def sort(op: OpRecord) -> Cost:
    """ceil(log2 n) comparisons per element, n the sorted length."""
    return per_element(op, ceil_log2(_length(op)), op.tensor("self").numel)


@BUILTIN.formula("aten.mode", source=_SOURCE)
def most_frequent(op: OpRecord) -> Cost:
    """ceil(log2 n) + 1 comparisons per element: sort, then compare neighbours."""
    return per_element(op, ceil_log2(_length(op)) + 1, op.tensor("self").numel)


@BUILTIN.formula("aten.topk", source="heap of k elements")
def topk(op: OpRecord) -> Cost:
    """ceil(log2 k) comparisons per element, at least 1."""
    return per_element(op, ceil_log2(max(op.arguments["k"], 2)), op.tensor("self").numel)


@BUILTIN.formula("aten.unique_dim", "aten._unique", "aten._unique2", source=_SOURCE)
def unique(op: OpRecord) -> Cost:
    """ceil(log2 n) + 1 comparisons per element: sort, then compare neighbours."""
    given = op.tensor("self")
    return per_element(op, ceil_log2(given.numel) + 1, given.numel)


@BUILTIN.formula("aten.unique_consecutive", "aten.unique_dim_consecutive")
def unique_consecutive(op: OpRecord) -> Cost:
    """1 comparison per element with its neighbour."""
    return per_element(op, 1, op.tensor("self").numel)


@BUILTIN.formula("aten.searchsorted", "aten.bucketize", source="binary search")
def search(op: OpRecord) -> Cost:
    """ceil(log2(n + 1)) comparisons per value, n the length of the sorted axis."""
    ordered = first_tensor(op, "sorted_sequence", "boundaries")
    return per_element(op, ceil_log2(ordered.shape[-1] + 1 if ordered.shape else 2), op.output.numel)


@BUILTIN.formula("aten.isin", source="binary search")
def membership(op: OpRecord) -> Cost:
    """Sorts the test elements and searches each element among them."""
    given = [op.tensor(name).numel if op.has_tensor(name) else 1 for name in ("elements", "test_elements")]
    return per_element(op, ceil_log2(given[1] + 1), sum(given))


def _length(op: OpRecord) -> int:
    given = op.tensor("self")
    default = 0 if op.name == "aten.msort" else None if op.name.endswith("median") else -1
    return length_along(given.shape, argument(op, "dim", default))
