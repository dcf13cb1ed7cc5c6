"""How a metric is printed: its value, its change, and the change in percent."""

from __future__ import annotations

from torchstat_cli.gate.metrics import METRICS
from torchstat_cli.units import format_bytes, format_count


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
