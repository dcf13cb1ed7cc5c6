"""The numbers that the gate can judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torchstat_cli.records import ModuleRecord, Totals


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a model; smaller is better for all of them."""

    name: str  # as written in limits
    unit: Literal["count", "bytes"]
    total: str  # field of Totals
    row: str | None  # the row column that sums to it; None where the total is no sum of rows


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("params", "count", "params", "params"),
        Metric("trainable", "count", "trainable_params", "trainable_params"),
        Metric("flops", "count", "flops", "flops"),
        Metric("madds", "count", "madds", "madds"),
        Metric("memory", "bytes", "memory", "memory"),
        Metric("peak", "bytes", "peak", None),
    )
}
"""Every metric by name, in the order of reports."""

HEADLINE = ("params", "flops", "memory")
"""Shown for every model; the others only where a limit names them or more detail is asked for."""

SUMMED_METRICS = tuple(name for name, metric in METRICS.items() if metric.row is not None)
"""Metrics that split over layers, so that a group can explain them."""


def metric_totals(totals: Totals) -> dict[str, int]:
    """Every metric that ``totals`` holds; a metric that was not measured is left out."""
    values = {name: getattr(totals, metric.total) for name, metric in METRICS.items()}
    return {name: value for name, value in values.items() if value is not None}


def metric_sums(rows: list[ModuleRecord]) -> dict[str, int]:
    """The sum over ``rows`` of every metric that splits over layers."""
    columns = {name: METRICS[name].row for name in SUMMED_METRICS}
    return {name: sum(getattr(row, str(column)) for row in rows) for name, column in columns.items()}
