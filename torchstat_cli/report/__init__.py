"""A profile as text, in every format: each is a file of its own in ``profile/formats/``, loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from torchstat_cli.errors import UsageError

if TYPE_CHECKING:
    from torchstat_cli.records import Profile
    from torchstat_cli.report.profile.view import View
    from torchstat_cli.report.terminal import Terminal

FORMATS = ("table", "csv", "json", "markdown", "html", "latex", "svg")
"""What ``--format`` and :func:`render` accept: each also the name of a file; the first is the default."""


def render(profile: Profile, format: str = "table", view: View | None = None, terminal: Terminal | None = None) -> str:
    """``profile`` in one of ``FORMATS``, ending in a line break.

    Args:
        profile: what was measured.
        format: one of ``FORMATS``.
        view: which rows and columns; by default all that the format shows by itself.
        terminal: what the table may use; by default no limit of width, Unicode and no colour.

    Raises:
        UsageError: an unknown format, or a view that asks for something that does not exist.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no format named {format!r}", f"choose from {', '.join(FORMATS)}")
    if view is not None:
        from torchstat_cli.report.profile.view import check

        check(view, format)
    if format == "table":
        from torchstat_cli.report.profile.formats import table

        return table.render(profile, view, terminal)
    text: str = import_module(f"torchstat_cli.report.profile.formats.{format}").render(profile, view)
    return text
