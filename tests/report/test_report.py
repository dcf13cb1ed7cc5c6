from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.report.profiles import TINY
from torchstat_cli.errors import OutputError
from torchstat_cli.report import render
from torchstat_cli.report.report import Report

REPORT = Report.of(TINY)


def test_a_report_has_everything_of_its_profile() -> None:
    assert REPORT.total == TINY.total
    assert REPORT.rows == TINY.rows
    assert REPORT.at("features").flops == 14080 + 256
    assert isinstance(REPORT.folded(1), Report)


@pytest.mark.parametrize("format", ["csv", "json", "markdown", "html"])
def test_text_is_returned_and_written(format: str, tmp_path: Path) -> None:
    path = tmp_path / "report"
    text = getattr(REPORT, f"to_{format}")(path)
    assert text == render(TINY, format) == path.read_bytes().decode("utf-8")
    assert getattr(REPORT, f"to_{format}")() == text


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        REPORT.to_csv(tmp_path)


def test_text_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    print(REPORT)
    assert capsys.readouterr().out == render(TINY)


def test_short_form() -> None:
    assert repr(REPORT) == "<Report of TinyNet: 5 rows, 1.525 k params, 9.472 k MAdds, 19.73 k FLOPs>"


def test_notebooks_get_html() -> None:
    assert "<table" in REPORT._repr_html_()


def test_frames() -> None:
    assert REPORT.to_pandas()["flops"].sum() == 19732
    assert len(REPORT.to_pandas(by="operator")) == 5


def test_json_is_a_report() -> None:
    assert json.loads(REPORT.to_json())["totals"]["params"] == 1525
