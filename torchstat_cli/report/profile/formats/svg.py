"""The table for terminals as a picture: one SVG file, with the fonts of the reader and without network."""

from __future__ import annotations

import io

from torchstat_cli.records import Profile
from torchstat_cli.report.profile.formats import table
from torchstat_cli.report.profile.view import View
from torchstat_cli.report.terminal import Terminal
from torchstat_cli.report.width import cell_width

# rich's own frame loads a font from the network when the picture is opened; this one takes what the reader has.
_FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect fill="#292929" width="100%" height="100%" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def render(profile: Profile, view: View | None = None) -> str:
    """``profile`` as the terminal shows it, in colors.

    Raises:
        UsageError: the view asks for something that does not exist.
    """
    from rich.console import Console
    from rich.text import Text

    width = max(map(cell_width, table.render(profile, view).splitlines()))
    colored = table.render(profile, view, Terminal(width=width, color=True))
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi(colored, no_wrap=True), soft_wrap=True)
    title = profile.provenance.class_name
    return console.export_svg(title=title, code_format=_FRAME, unique_id="modelstat")
