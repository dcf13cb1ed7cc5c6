"""The comparison of simulated and real peaks: the U-Net in ordinary layout, and the table in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.libraries import import_library
from benchmarks.memory import CLOSING, OPENING, Comparison, compare, lines, rewritten
from benchmarks.memory_cases import cases
from benchmarks.memory_peaks import PHASES
from benchmarks.peaks.case import Case
from sample_models.unet import unet

ROOT = Path(__file__).parents[2]
UNET = Case("unet", "U-Net", lambda: unet(width=32), lambda: {"images": torch.randn(4, 3, 128, 128)}, 1.5)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="what is simulated is oneDNN on a CPU with AVX-512",
)
@pytest.mark.usefixtures("threads")
def test_a_unet_in_ordinary_layout_peaks_where_the_allocator_does() -> None:
    found = compare(UNET, "adam", "cpu")
    assert all(abs(found.error(phase)) < 1.5 for phase in PHASES)
    assert [figure.verdict for figure in found.figures()] == ["ok"] * 3


def test_errors_are_in_percent_of_the_real_peak() -> None:
    found = Comparison(UNET, dict.fromkeys(PHASES, 99), dict.fromkeys(PHASES, 100), 0.1, 0.5)
    assert found.error("forward") == -1.0
    assert [figure.verdict for figure in found.figures()] == ["missed"] * 3
    assert lines([found])[-1] == "| U-Net | -1.000 % | -1.000 % | -1.000 % |"
    assert "1 models" in lines([found])[0]
    assert "the median error is 1.000 %, the worst 1.000 % (U-Net, forward)" in lines([found])[0]


def test_an_exception_is_named_with_its_cause_and_misses_no_goal() -> None:
    case = replace(UNET, exception="a cause")
    found = Comparison(case, dict.fromkeys(PHASES, 90), dict.fromkeys(PHASES, 100), 0.1, 1.0)
    assert [figure.verdict for figure in found.figures()] == [""] * 3
    assert lines([found])[-1] == "\nException: U-Net; a cause."


def test_the_list_has_sixty_models_and_few_exceptions() -> None:
    if any(import_library(name) is None for name in ("torchvision", "timm", "transformers", "vit_pytorch")):
        pytest.skip("a model library is missing")
    listed = list(cases(large=False))
    assert len(listed) == len({case.name for case in listed}) == 60
    assert sum(bool(case.exception) for case in listed) <= 5
    assert all(case.goal <= 1 for case in listed)


def test_only_what_stands_between_the_comments_is_rewritten() -> None:
    page = f"a\n{OPENING}\nold\n{CLOSING}\nb\n"
    assert rewritten(page, ["new", "lines"]) == page.replace("old", "new\nlines")
    with pytest.raises(ValueError, match="lacks the comments"):
        rewritten("a\nb\n", [])


def test_the_page_can_be_rewritten_and_shows_no_error_beyond_its_goal() -> None:
    page = (ROOT / "docs" / "memory.md").read_text(encoding="utf-8")
    assert rewritten(page, ["x"]).count("| U-Net") == 0
    table = page.partition(OPENING)[2].partition(CLOSING)[0]
    cells = [cell for line in table.splitlines() if line.startswith("| ") for cell in line.split("|")[2:-1]]
    errors = [float(cell.replace("%", "")) for cell in cells if "%" in cell]
    exceptions = table.count("Exception: ")
    assert len(errors) == 3 * 60
    assert exceptions <= 5
    assert sum(abs(error) > 1 for error in errors) <= 3 * exceptions
