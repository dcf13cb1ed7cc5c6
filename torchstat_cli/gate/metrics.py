"""The numbers that the gate can judge, and how each one is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torchstat_cli.records import ModuleRecord, Totals
from torchstat_cli.units import format_bytes, format_count


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


def format_value(metric: str, value: int) -> str:
    """A value in the unit of its metric: ``5.712 M`` or ``48.75 MiB``."""
    return format_bytes(value) if METRICS[metric].unit == "bytes" else format_count(value)


def format_delta(metric: str, delta: int) -> str:
    """A change with its sign: ``+1.183 M``; no change is ``=``."""
    if not delta:
        return "="
    return f"{'+' if delta > 0 else '-'}{format_value(metric, abs(delta))}"


def format_percent(delta: int, baseline: int | None) -> str:
    """A change relative to ``baseline``: ``+20.70 %``; empty where nothing changed or there is nothing to relate to."""
    if not delta or not baseline:
        return ""
    percent = 100 * delta / baseline
    if abs(percent) < 0.005:
        return "<0.01 %" if delta > 0 else ">-0.01 %"
    return f"{percent:+.2f} %"
