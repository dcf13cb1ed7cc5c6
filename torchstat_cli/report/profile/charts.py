"""The pictures of a profile as plain values that plotly draws: the tree of modules, and live memory over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from torchstat_cli.errors import UsageError
from torchstat_cli.foreign_text import printable
from torchstat_cli.records import CLASSES, MemoryProfile, Moment, Profile
from torchstat_cli.report.names import ROOT
from torchstat_cli.report.profile.cells import type_text
from torchstat_cli.report.profile.columns import COLUMNS
from torchstat_cli.report.profile.folding import fold
from torchstat_cli.report.profile.json_parts import thinned
from torchstat_cli.report.profile.summary import peak_place
from torchstat_cli.report.profile.tree import Branch, branches
from torchstat_cli.units import format_bytes, format_count, format_share

METRICS = {
    "params": "params",
    "madds": "MAdds (MACs)",
    "flops": "FLOPs",
    "memory": "memory of outputs",
    "mem_total": "memory traffic",
}
"""What areas can stand for, with its name."""

KINDS = ("icicle", "treemap", "memory")
"""The pictures that there are."""

LEAVES = {"icicle": {"leaf": {"opacity": 1}}}
"""An icicle pales its leaves, and a treemap does not know the setting."""

MOST_NODES = 800
"""A browser draws so many areas in about a second."""

_LEAST_SHARE = 0.001
_MOST_OF_IT = 0.6
"""What holds more stays gray, so that colors divide what there is to compare."""

_MOMENTS = 500
_INK = "#111111"
_ROOT_COLOR = "#d0d5dd"
# Pale, so that dark text stands out on each of them, whatever the theme of the page.
_PALETTE = (
    "#9ecae9",
    "#ffcf8f",
    "#a5d8a0",
    "#f4b5b0",
    "#d4b9da",
    "#e0cda9",
    "#f7c6dd",
    "#b8d4d0",
    "#e6e08a",
    "#c9cfe8",
)
COLORS = {
    "parameter": "#4c78a8",
    "buffer": "#9ecae9",
    "input": "#bab0ac",
    "activation": "#f58518",
    "temporary": "#ffbf79",
    "gradient": "#54a24b",
    "optimizer": "#b279a2",
}
"""The color of each class of memory."""


def picture(profile: Profile, kind: str, metric: str = "flops") -> dict[str, Any]:
    """One picture: its ``data`` and ``layout``.

    Args:
        profile: what was measured.
        kind: one of ``KINDS``.
        metric: what the areas of an icicle or a treemap stand for, one of ``METRICS``.

    Raises:
        UsageError: there is no such picture, or the run did not look at what it shows.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no picture named {kind!r}", f"choose from {', '.join(KINDS)}")
    if kind == "memory":
        if profile.memory is None:
            raise UsageError("this run did not watch memory", "profile with memory=True")
        return memory_picture(profile.memory)
    if metric not in METRICS:
        raise UsageError(f"there are no areas for {metric!r}", f"choose from {', '.join(METRICS)}")
    return {
        "data": [{**trace(profile, metric), "type": kind, **LEAVES.get(kind, {})}],
        "layout": {"margin": {"t": 30, "l": 0, "r": 0, "b": 0}, "title": {"text": f"{METRICS[metric]} by module"}},
    }


def trace(profile: Profile, metric: str) -> dict[str, Any]:
    """The tree of modules for an icicle or a treemap: each area is what a module and all below it cost."""
    areas = _areas(profile, metric)
    return {
        "ids": [area.id for area in areas],
        "labels": [escape(area.label) for area in areas],
        "parents": [area.parent for area in areas],
        "values": [area.value for area in areas],
        "customdata": [escape(area.words) for area in areas],
        "branchvalues": "total",
        "sort": False,
        "hovertemplate": "<b>%{label}</b><br>%{customdata}<extra></extra>",
        "marker": {"colors": [area.color for area in areas], "line": {"width": 1, "color": "#ffffff"}},
        "textfont": {"color": _INK},
        "pathbar": {"textfont": {"color": _INK}},
    }


@dataclass(frozen=True, slots=True)
class _Area:
    """One area of an icicle or a treemap."""

    id: str
    parent: str  # id of the area around it
    label: str
    value: int
    words: str
    color: str


def _areas(profile: Profile, metric: str) -> list[_Area]:
    """At most ``MOST_NODES`` areas: below the share that this leaves, siblings are joined into one."""
    lines = branches(fold(profile).profile)
    column = COLUMNS[metric]
    values = [int(column.value(line.row, profile.total)) for line in lines]
    if not values[0]:
        lines, values = lines[:1], values[:1]
    share = _LEAST_SHARE
    areas = _joined(lines, values, metric, share)
    while len(areas) > MOST_NODES:
        share *= 2
        areas = _joined(lines, values, metric, share)
    return areas


def _joined(lines: Sequence[Branch], values: Sequence[int], metric: str, share: float) -> list[_Area]:
    whole = values[0]
    format_value = format_count if COLUMNS[metric].kind == "count" else format_bytes
    areas: list[_Area] = []
    others: dict[str, list[int]] = {}
    ancestors: list[str] = []  # the ids that lead to a line
    colors: dict[str, str] = {}
    left_out = 0  # depth of a line below which nothing is shown; 0 for none
    for line, value in zip(lines, values, strict=True):
        if left_out and line.depth > left_out:
            continue
        left_out = 0
        del ancestors[line.depth :]
        parent = ancestors[-1] if ancestors else ""
        if line.depth and value < share * whole:
            others.setdefault(parent, []).append(value)
            left_out = line.depth
            continue
        name = f"{printable(line.row.path)} {line.row.kind}" if line.depth else "root"
        color = colors.get(parent, _ROOT_COLOR)
        if color == _ROOT_COLOR and value < _MOST_OF_IT * whole:
            color = _PALETTE[len(set(colors.values())) % len(_PALETTE)]
        colors[name] = color
        words = f"{type_text(line.row)}, {format_value(value)}, {format_share(value, whole)}"
        areas.append(_Area(name, parent, _label(line), value, words, color))
        ancestors.append(name)
    for parent, small in others.items():
        if sum(small):
            words = f"{format_value(sum(small))}, {format_share(sum(small), whole)}"
            color = next(area.color for area in areas if area.id == parent)
            areas.append(_Area(f"{parent} others", parent, f"{len(small)} others", sum(small), words, color))
    return areas


def _label(line: Branch) -> str:
    if line.row.kind == "direct" and line.depth:
        return "(direct)"
    name = printable(line.row.path.rpartition(".")[2]) or ROOT
    return f"{name} ({line.row.modules} ×)" if line.row.modules > 1 else name


def memory_picture(memory: MemoryProfile) -> dict[str, Any]:
    """Live bytes over the operators of a run, one band per class; the peak and the phases are marked."""
    moments = thinned(memory.timeline, _MOMENTS)
    unit, scale = _unit(memory.peak.total)
    xs = [moment.index for moment in moments]
    bands = [
        _band(kind, [moment.live[place] / scale for moment in moments], xs, unit)
        for place, kind in enumerate(CLASSES)
        if any(moment.live[place] for moment in moments)
    ]
    return {
        "data": [*bands, _words(moments, xs, scale)],
        "layout": {
            "hovermode": "x unified",
            "margin": {"t": 40, "l": 60, "r": 10, "b": 45},
            "xaxis": {"title": {"text": "operators of the run"}, "range": [xs[0], max(xs[-1], 1)]},
            "yaxis": {"title": {"text": f"live memory, {unit}"}, "rangemode": "tozero"},
            "legend": {"orientation": "h", "y": -0.28, "yanchor": "top"},
            **_marks(memory, scale),
        },
    }


def _band(kind: str, values: Sequence[float], xs: Sequence[int], unit: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": kind,
        "x": list(xs),
        "y": list(values),
        "stackgroup": "live",
        "line": {"shape": "hv", "width": 0.5, "color": COLORS[kind]},
        "fillcolor": COLORS[kind],
        "hovertemplate": f"%{{y:.4g}} {unit}",
    }


def _words(moments: Sequence[Moment], xs: Sequence[int], scale: float) -> dict[str, Any]:
    """A line without ink along the top, which says what runs at each moment."""
    texts = [
        f"{format_bytes(moment.total)}<br>{escape(printable(moment.op) or 'start')}"
        f"<br>in {escape(printable(moment.path) or ROOT)}"
        for moment in moments
    ]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "total",
        "x": list(xs),
        "y": [moment.total / scale for moment in moments],
        "customdata": texts,
        "line": {"shape": "hv", "width": 0},
        "hovertemplate": "%{customdata}",
        "showlegend": False,
    }


def _marks(memory: MemoryProfile, scale: float) -> dict[str, Any]:
    """A dashed line at the peak, one where each phase begins, and their names."""
    peak = memory.peak
    shapes = [_line(peak.index, "dash")]
    notes = [
        {
            "x": peak.index,
            "y": peak.total / scale,
            "text": f"peak {format_bytes(peak.total)}",
            "hovertext": escape(peak_place(memory)),
            "showarrow": True,
            "ax": 40,
            "ay": -15,
        }
    ]
    if len(memory.phases) > 1:
        ends = [phase.start for phase in memory.phases[1:]] + [memory.timeline[-1].index]
        for (start, end), phase in zip(pairwise([memory.phases[0].start, *ends]), memory.phases, strict=True):
            shapes.append(_line(start, "dot"))
            text = f"{phase.phase} {phase.step}"
            notes.append({"x": (start + end) / 2, "y": 1.06, "yref": "paper", "text": text, "showarrow": False})
    return {"shapes": shapes, "annotations": notes}


def _line(x: float, dash: str) -> dict[str, Any]:
    line = {"width": 1, "dash": dash, "color": "#888888"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _unit(nbytes: int) -> tuple[str, float]:
    """The unit of an axis that reaches to ``nbytes``, and the bytes in it."""
    unit = format_bytes(max(nbytes, 1)).rpartition(" ")[2]
    return unit, float(1024 ** ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB").index(unit))
