"""Which maps a selection means."""

from __future__ import annotations

import re

from torchstat_cli.activations.events import FoundMap
from torchstat_cli.activations.selection.language import Selector


def selects(selector: Selector, found: FoundMap) -> bool:
    """Whether a selection of attention means this map; sinks only where it says so."""
    if found.part == "sinks":
        return selector.pattern.endswith("sinks") and selector.matches(found.name)
    return selector.matches(found.name) or selector.matches(found.path)


def may_select(selector: Selector, path: str) -> bool:
    """Whether a selection may mean a map of ``path``, or of one of its calls or parts: ``attn_1``, ``*.sinks``."""
    stem = re.split(r"[*?\[]", selector.pattern, maxsplit=1)[0]
    return selector.matches(path) or stem.startswith(path) or path.startswith(stem)
