"""One measured figure beside its goal, and the table of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rich.table import Table

Verdict = Literal["ok", "missed", ""]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a benchmark is asked for."""

    rounds: int = 7  # measurements of each side
    write: bool = False  # rewrite the documentation that shows the result


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, and what it should be."""

    subject: str
    value: float
    unit: str  # "x" for a ratio, "s", "MiB", …
    goal: float | None = None  # None: shown for information
    exact: bool = False  # the value must equal the goal; otherwise the goal is an upper limit
    digits: int = 2  # after the point
    details: str = ""  # the two sides of a ratio, in words

    @property
    def verdict(self) -> Verdict:
        """Whether the goal is reached; compared unrounded."""
        if self.goal is None:
            return ""
        reached = self.value == self.goal if self.exact else self.value <= self.goal
        return "ok" if reached else "missed"

    @property
    def figure(self) -> str:
        """The value as people read it: ``0.43 x``."""
        return f"{self._number(self.value)} {self.unit}"

    @property
    def target(self) -> str:
        """The goal as people read it: ``<= 0.50 x``."""
        if self.goal is None:
            return ""
        return f"{'=' if self.exact else '<='} {self._number(self.goal)} {self.unit}"

    def _number(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


def figure_table(title: str, figures: Iterable[Figure]) -> Table:
    """The figures with goals and verdicts, one per line."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    table.add_column("measured")
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("details", style="dim")
    colours = {"ok": "green", "missed": "bold red", "": ""}
    for figure in figures:
        verdict = figure.verdict
        cell = f"[{colours[verdict]}]{verdict}[/]" if verdict else ""
        table.add_row(figure.subject, figure.figure, figure.target, cell, figure.details)
    return table


def closing(figures: Iterable[Figure]) -> str:
    """One line on how many goals are reached."""
    verdicts = [figure.verdict for figure in figures if figure.verdict]
    missed = verdicts.count("missed")
    if not verdicts:
        return "no goals here"
    return f"{missed} of {len(verdicts)} goals missed" if missed else f"all {len(verdicts)} goals reached"
