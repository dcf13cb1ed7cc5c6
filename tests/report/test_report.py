from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.report.profiles import TINY
from torchstat_cli.errors import OutputError, UsageError
from torchstat_cli.report import render
from torchstat_cli.report.report import Report
from torchstat_cli.report.web.plotly import is_installed

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


def test_memory_says_its_peak_and_shows_a_picture() -> None:
    report = ms.profile(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.zeros(2, 4), memory=True)
    assert report.memory is not None
    assert repr(report.memory).startswith("<Memory: peak ")
    assert len(repr(report.memory)) < 120
    assert "<svg" in report.memory._repr_html_()  # type: ignore[attr-defined]


def test_plot_gives_a_figure_or_says_what_is_missing() -> None:
    if not is_installed():
        with pytest.raises(UsageError, match="plotly, which is not installed"):
            REPORT.plot()
        return
    assert REPORT.plot("icicle").data[0].type == "icicle"
    figure = REPORT.plot("treemap", "params")
    assert figure.data[0].type == "treemap"
    assert figure.data[0].values[0] == REPORT.total.params
