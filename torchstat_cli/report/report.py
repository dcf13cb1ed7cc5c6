"""What a user holds after a profile: the profile, and a way to every output."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from torchstat_cli.records import Profile
from torchstat_cli.report import render
from torchstat_cli.report.profile.columns import By
from torchstat_cli.report.terminal import Terminal
from torchstat_cli.report.writing import Place, write
from torchstat_cli.units import format_count

if TYPE_CHECKING:
    import pandas


class Report(Profile):
    """A profile that can show, convert and save itself; prints as a table, and as HTML in a notebook."""

    @classmethod
    def of(cls, profile: Profile) -> Report:
        """The report of ``profile``."""
        return cls(**{field.name: getattr(profile, field.name) for field in fields(profile)})

    def to_pandas(self, by: By = "module") -> pandas.DataFrame:
        """A DataFrame with one line per module, type or operator, and exact numbers.

        Raises:
            UsageError: ``by`` is none of these.
        """
        from torchstat_cli.report.profile.formats.frame import to_pandas

        return to_pandas(self, by)

    def to_csv(self, path: Place | None = None) -> str:
        """CSV with one line per module, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("csv", path)

    def to_json(self, path: Place | None = None) -> str:
        """The whole report as JSON, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("json", path)

    def to_markdown(self, path: Place | None = None) -> str:
        """A Markdown table and summary, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("markdown", path)

    def to_html(self, path: Place | None = None) -> str:
        """A page of HTML that needs nothing else, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("html", path)

    def _output(self, format: str, path: Place | None) -> str:
        text = render(self, format)
        if path is not None:
            write(text, path)
        return text

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
