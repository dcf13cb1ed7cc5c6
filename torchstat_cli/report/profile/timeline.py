"""The live bytes of a run over its operators, as a picture in HTML: one band per class, the peak marked."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import accumulate

from torchstat_cli.records import CLASSES, MemoryProfile, Moment
from torchstat_cli.report.profile.charts import COLORS
from torchstat_cli.report.profile.json_parts import thinned
from torchstat_cli.report.profile.summary import peak_place
from torchstat_cli.units import format_bytes

_WIDTH, _HEIGHT = 900, 220
_MOMENTS = 450


def timeline(memory: MemoryProfile) -> str:
    """A figure for ``memory``; nothing when there is nothing to see."""
    moments = thinned(memory.timeline, _MOMENTS)
    last = max(moment.index for moment in moments)
    highest = memory.peak.total
    if not last or not highest:
        return ""
    bands = "".join(_bands(moments, last, highest))
    peak = f"peak {format_bytes(highest)} {peak_place(memory)}"
    x = _WIDTH * memory.peak.index / last
    mark = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_HEIGHT}" stroke="currentColor" stroke-dasharray="3 3"/>'
    axes = f"from 0 to {format_bytes(highest)}, operators 0 to {last} from left to right"
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" aria-label="{escape(peak)}" '
        f'preserveAspectRatio="none">{bands}{mark}</svg><figcaption>live tensor memory over '
        f"{len(memory.timeline)} changes, {escape(peak)}, {axes}: {_legend(moments)}</figcaption></figure>"
    )


def _bands(moments: Sequence[Moment], last: int, highest: int) -> list[str]:
    """One polygon per class that holds anything, each on top of those before it."""
    stacks = [(0, *accumulate(moment.live)) for moment in moments]
    xs = [f"{_WIDTH * moment.index / last:.1f}" for moment in moments]
    polygons = []
    for place, kind in enumerate(CLASSES):
        if not any(moment.live[place] for moment in moments):
            continue
        upper = [f"{x},{_y(stack[place + 1], highest)}" for x, stack in zip(xs, stacks, strict=True)]
        lower = [f"{x},{_y(stack[place], highest)}" for x, stack in zip(xs, stacks, strict=True)]
        points = " ".join([*upper, *reversed(lower)])
        polygons.append(f'<polygon fill="{COLORS[kind]}" points="{points}"><title>{kind}</title></polygon>')
    return polygons


def _y(nbytes: int, highest: int) -> str:
    return f"{_HEIGHT * (1 - nbytes / highest):.1f}"


def _legend(moments: Sequence[Moment]) -> str:
    held = [kind for place, kind in enumerate(CLASSES) if any(moment.live[place] for moment in moments)]
    return ", ".join(f'<span style="color:{COLORS[kind]}">&#9632;</span> {kind}' for kind in held)
