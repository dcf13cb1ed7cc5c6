"""The report as a table of LaTeX, with the rules of the package booktabs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from torchstat_cli.records import Profile
from torchstat_cli.report.profile.cells import Cell, build
from torchstat_cli.report.profile.view import View, select

_COLUMNS = {
    "module": ("path", "type", "output_shape", "params", "madds", "flops"),
    "group": ("path", "type", "output_shape", "params", "madds", "flops"),
    "type": ("type", "modules", "params", "madds", "flops"),
    "operator": ("op", "calls", "madds", "flops"),
}
"""What a page has room for, unless told otherwise."""

_SIGNS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "→": r"$\to$",
    "…": r"\ldots{}",
    "–": "--",
}
_ESCAPES = str.maketrans(_SIGNS)


def render(profile: Profile, view: View | None = None) -> str:
    """``profile`` as a ``tabular`` that ends in the totals; it needs ``\\usepackage{booktabs}``.

    Raises:
        UsageError: the view asks for something that does not exist.
    """
    view = view or View()
    grid = build(select(profile, replace(view, columns=view.columns or _COLUMNS.get(view.by))), view.units)
    sides = "".join("r" if column.is_number else "l" for column in grid.columns)
    body = [_line(row) for row in grid.rows] + ([_line(grid.rest)] if grid.rest else [])
    lines = [
        "% \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{sides}}}",
        "\\toprule",
        _joined(column.heading for column in grid.columns),
        "\\midrule",
        *body,
        "\\midrule",
        _line(grid.total),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[Cell]) -> str:
    return _joined(cell.text for cell in cells)


def _joined(texts: Iterable[str]) -> str:
    return " & ".join(map(escape, texts)) + r" \\"


def escape(text: str) -> str:
    """``text`` so that LaTeX prints it as it is: a module name is no command."""
    return text.translate(_ESCAPES)
