from __future__ import annotations

from dataclasses import replace

import pytest

from tests.report.verdicts import ACCEPTED, BETTER, ERROR, FAILING, GONE, NEW, PASSING, run
from torchstat_cli.report.verdict.github import MOST_ANNOTATIONS, escape_message, escape_property, render_github


def test_one_annotation_per_failing_model_at_its_factory() -> None:
    (line,) = render_github(run(PASSING, FAILING)).splitlines()
    assert line.startswith(
        "::error title=modelstat vit_tiny,file=sample_models/vit.py,line=14::"
        "params 5.712 M -> 6.895 M (+20.70 %25), limit +1%25; flops 2.507 G -> 2.972 G (+18.54 %25), limit +1%25%0A"
    )
    assert line.endswith("%0AEdge budget, see docs/edge.md before raising")


def test_sources_are_written_from_the_root_of_the_repository() -> None:
    assert ",file=models/sample_models/vit.py," in render_github(run(FAILING), "models")
    assert ",file=sample_models/vit.py," in render_github(run(FAILING), ".")


@pytest.mark.parametrize(
    ("text", "message", "written_property"),
    [
        ("100 %", "100 %25", "100 %25"),
        ("a\nb\r\nc", "a%0Ab%0D%0Ac", "a%0Ab%0D%0Ac"),
        ("a: b, c", "a: b, c", "a%3A b%2C c"),
        ("%0A", "%250A", "%250A"),
    ],
)
def test_escapes(text: str, message: str, written_property: str) -> None:
    assert escape_message(text) == message
    assert escape_property(text) == written_property


def test_a_hostile_model_name_stays_one_command() -> None:
    (line,) = render_github(run(replace(ERROR, name="x::error,\n::stop"))).splitlines()
    assert line.startswith(r"::error title=modelstat x%3A%3Aerror%2C\n%3A%3Astop::forward failed")


def test_levels() -> None:
    lines = render_github(run(NEW, GONE, ERROR, BETTER)).splitlines()
    assert [line.split()[0] for line in lines] == ["::error", "::notice", "::notice"]
    strict = render_github(run(NEW, GONE, ERROR, BETTER, strict=True)).splitlines()
    assert [line.split()[0] for line in strict] == ["::error"] * 4


def test_accepted_growth_is_a_notice() -> None:
    (line,) = render_github(run(ACCEPTED, PASSING, against="main")).splitlines()
    assert line.startswith(
        "::notice title=modelstat vit_tiny,file=sample_models/vit.py,line=14::params 5.712 M -> 6.895 M"
    )
    assert "flops 2.507 G -> 2.972 G (+18.54 %25), accepted in this branch" in line


def test_a_renamed_model_is_asked_about() -> None:
    (line,) = render_github(run(replace(NEW, name="seg", renamed_from="segmenter"))).splitlines()
    assert line.endswith("::has segmenter's numbers: renamed?")


def test_at_most_ten_and_the_rest_is_counted() -> None:
    models = [replace(NEW, name=f"new{index}") for index in range(20)] + [replace(FAILING, name="bad")]
    lines = render_github(run(*models)).splitlines()
    assert len(lines) == MOST_ANNOTATIONS == 10
    assert lines[0].startswith("::error title=modelstat bad")
    assert lines[-1] == "::notice title=modelstat::and 12 more models; the step summary has all of them"
