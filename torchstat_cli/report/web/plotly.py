"""The chart library, where it is installed: for figures in Python, and for pages that carry it with them."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from torchstat_cli.errors import UsageError

if TYPE_CHECKING:
    import plotly.graph_objects


def figure(parts: Mapping[str, Any]) -> plotly.graph_objects.Figure:
    """A figure from its parts as plain values.

    Raises:
        UsageError: plotly is not installed.
    """
    if not is_installed():
        raise UsageError("pictures need plotly, which is not installed", "pip install 'torchstat-cli[report]'")
    from plotly.graph_objects import Figure

    return Figure(data=parts["data"], layout=parts["layout"])


def is_installed() -> bool:
    """Whether pages can have charts."""
    return find_spec("plotly") is not None


@cache
def packed_script() -> str:
    """The library's script, compressed, as text: a page unpacks it when it has been painted."""
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return b64encode(gzip.compress(script, mtime=0)).decode("ascii")
