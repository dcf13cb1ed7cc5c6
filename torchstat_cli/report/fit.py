"""What fits a memory size, as text or JSON."""

from __future__ import annotations

import json

from torchstat_cli.records import CLASSES, NOT_MODELLED, SCHEMA, FitPoint, FitResult
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.layout import Column, table_lines
from torchstat_cli.report.names import shown_path
from torchstat_cli.units import format_bytes, format_share

_BAR = 30
"""Cells of a bar that fills the budget."""

_COLUMNS = (Column("right", gap=0), *[Column("right")] * 2, *[Column()] * 3)
"""Numbers flush right, words flush left."""


def render(result: FitResult, form: str = "table") -> str:
    """``result`` as ``"table"`` or ``"json"``."""
    return _json(result) if form == "json" else _table(cleaned(result))


def _table(result: FitResult) -> str:
    rows = [("size", "peak", "of budget", "", "most of it", "at")]
    for point in result.points:
        mark = " <- largest that fits" if point == result.best else ""
        module = f"{shown_path(point.path)}, {point.phase}{mark}"
        rows.append((str(point.size), format_bytes(point.peak), *_filled(point, result), _most(point), module))
    return "\n".join([*table_lines(rows, _COLUMNS), "", *_summary(result), ""])


def _filled(point: FitPoint, result: FitResult) -> tuple[str, str]:
    """The share of the budget, in words and as a bar."""
    cells = round(_BAR * min(1.0, point.peak / result.budget))
    return format_share(point.peak, result.budget), "#" * cells


def _most(point: FitPoint) -> str:
    share = format_share(max(point.by_class), point.peak)
    return f"{point.dominant} {share}"


def _summary(result: FitResult) -> list[str]:
    varied = ", ".join(result.varied)
    device = f" ({result.device}, {result.source})" if result.device else ""
    budget = f"budget   {format_bytes(result.budget)}{device}"
    if result.best is None:
        smallest = result.points[0]
        answer = f"answer   nothing fits: {varied} = {smallest.size} takes {format_bytes(smallest.peak)}"
    elif result.best.size >= result.limit:
        answer = f"answer   {varied} = {result.best.size} fits, the largest that was tried (--limit)"
    else:
        answer = f"answer   {varied} = {result.best.size} fits, with {format_bytes(result.best.peak)}"
    larger = [f"larger   sizes do not run: {result.obstacle}"] if result.obstacle else []
    return [
        answer,
        *larger,
        budget,
        "peaks    simulated tensor memory, without rounding, workspaces and the device context",
    ]


def _json(result: FitResult) -> str:
    report = {
        "schema": SCHEMA,
        "tool": "modelstat fit",
        "model": result.model,
        "vary": list(result.varied),
        "budget": result.budget,
        "device": result.device,
        "device_source": result.source,
        "largest": None if result.best is None else result.best.size,
        "limit": result.limit,
        "obstacle": result.obstacle,
        "points": [
            {
                "size": point.size,
                "peak": point.peak,
                "fits": point.peak <= result.budget,
                "by_class": dict(zip(CLASSES, point.by_class, strict=True)),
                "module": point.path,
                "phase": point.phase,
            }
            for point in result.points
        ],
        "not_modelled": list(NOT_MODELLED),
    }
    return json.dumps(report, indent=2) + "\n"
