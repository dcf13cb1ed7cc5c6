"""What a user holds after a profile: the profile, and a way to every output."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from torchstat_cli.records import MemoryProfile, Profile
from torchstat_cli.report import render
from torchstat_cli.report.profile.columns import By
from torchstat_cli.report.profile.summary import peak_place
from torchstat_cli.report.terminal import Terminal
from torchstat_cli.report.writing import Convertible, Place
from torchstat_cli.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects


class Memory(MemoryProfile):
    """Simulated memory that says its peak in one line, and shows itself as a picture in a notebook."""

    @classmethod
    def of(cls, memory: MemoryProfile) -> Memory:
        """The same memory, with ways to show itself."""
        return cls(**{field.name: getattr(memory, field.name) for field in fields(memory)})

    def __repr__(self) -> str:
        return f"<Memory: peak {format_bytes(self.peak.total)} {peak_place(self)}, {len(self.timeline)} moments>"

    def _repr_html_(self) -> str:
        from torchstat_cli.report.profile.formats.html import memory_fragment

        return memory_fragment(self)


class Report(Profile, Convertible):
    """A profile that can show, convert and save itself; prints as a table, and as HTML in a notebook."""

    @classmethod
    def of(cls, profile: Profile) -> Report:
        """The report of ``profile``."""
        values = {field.name: getattr(profile, field.name) for field in fields(profile)}
        if profile.memory is not None:
            values["memory"] = Memory.of(profile.memory)
        return cls(**values)

    def plot(self, kind: str = "icicle", metric: str = "flops") -> plotly.graph_objects.Figure:
        """A picture to zoom into, as a figure of plotly.

        Args:
            kind: "icicle" or "treemap", the tree of modules; "memory", live bytes over the operators of the run.
            metric: what the areas of the tree stand for: "params", "madds", "flops", "memory" or "mem_total".

        Raises:
            UsageError: plotly is not installed, there is no such picture, or the run did not watch memory.
        """
        from torchstat_cli.report.profile.charts import picture
        from torchstat_cli.report.web.plotly import figure

        return figure(picture(self, kind, metric))

    def to_pandas(self, by: By = "module") -> pandas.DataFrame:
        """A DataFrame with one line per module, type or operator, and exact numbers.

        Raises:
            UsageError: ``by`` is none of these.
        """
        from torchstat_cli.report.profile.formats.frame import to_pandas

        return to_pandas(self, by)

    def to_html(self, path: Place | None = None) -> str:
        """A page of HTML that needs nothing else, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("html", path)

    def to_latex(self, path: Place | None = None) -> str:
        """A table of LaTeX for booktabs, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("latex", path)

    def save(self, path: Place) -> None:
        """The whole report as JSON in ``path``; :func:`torchstat_cli.load_report` reads it back.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        self.to_json(path)

    def _text(self, form: str) -> str:
        return render(self, form)

    def __str__(self) -> str:
        return render(self, "table", terminal=Terminal.detect(sys.stdout, color=False)).rstrip("\n")

    def __repr__(self) -> str:
        total = self.total
        counts = (
            f"{format_count(total.params)} params, {format_count(total.madds)} MAdds, {format_count(total.flops)} FLOPs"
        )
        return f"<Report of {self.provenance.class_name}: {len(self.rows)} rows, {counts}>"

    def _repr_html_(self) -> str:
        from torchstat_cli.report.profile.formats.html import fragment

        return fragment(self)
