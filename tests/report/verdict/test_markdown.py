from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.report.verdicts import ACCEPTED, ERROR, EVERY_STATE, FAILING, PASSING, run
from torchstat_cli.report.verdict.markdown import MARKER, MOST_BYTES, render_markdown


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("gate/verdict.md", render_markdown(run(*EVERY_STATE)))


def test_the_look() -> None:
    lines = render_markdown(run(PASSING, FAILING)).splitlines()
    assert lines[:2] == ["<!-- modelstat:check -->", "### modelstat: 1 of 2 models over its limit"]
    assert lines[3:8] == [
        "| model | metric | baseline | now | change | limit | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
        "| `vit_tiny` | params | 5,712,424 | 6,895,144 | +1,182,720 (+20.70 %) | +1% | **over** |",
        "| `vit_tiny` | flops | 2,507,366,400 | 2,972,147,712 | +464,781,312 (+18.54 %) | +1% | **over** |",
        "| `vit_tiny` | memory | 48.75 MiB | 51.06 MiB | +2.309 MiB (+4.74 %) | 64 MiB | ok |",
    ]
    assert "<details><summary>Why it grew</summary>" in lines
    assert "<details><summary>1 model unchanged</summary>" in lines


def test_accepted_growth_is_in_the_headline_and_in_the_table() -> None:
    text = render_markdown(run(ACCEPTED, PASSING, against="main"))
    assert "### modelstat: 2 models, 6 numbers, 3 grew, accepted in this branch\n" in text
    numbers = "| `vit_tiny` | flops | 2,507,366,400 | 2,972,147,712 | +464,781,312 (+18.54 %)"
    assert f"{numbers} | +1% | accepted in this branch |\n" in text
    assert "<details><summary>Why it grew</summary>" in text
    assert "none grew" not in text


def test_nothing_to_say() -> None:
    text = render_markdown(run(PASSING))
    assert "### modelstat: 1 model, 3 numbers, none grew\n" in text
    assert "| --- |" not in text


def test_text_of_others_cannot_break_the_page() -> None:
    text = render_markdown(run(replace(ERROR, name="a|`b`", problem="<script>\n| x")))
    assert "<script>" not in text
    assert "`a\\|'b'`" in text
    assert "&lt;script> \\| x" in text


def test_a_thousand_models_stay_below_the_cap() -> None:
    failing = [replace(FAILING, name=f"model_with_a_long_name_{index:04}") for index in range(1000)]
    passing = [replace(PASSING, name=f"passing_{index:04}") for index in range(1000)]
    text = render_markdown(run(*passing, *failing))
    assert len(text.encode()) <= MOST_BYTES == 500_000
    assert text.startswith(f"{MARKER}\n### modelstat: 1000 of 2000 models over their limits")
    assert "model_with_a_long_name_0000" in text
    small = render_markdown(run(*passing, *failing), most_bytes=20_000)
    assert len(small.encode()) <= 20_000
    assert "more entries did not fit here" in small
    assert text.count("</details>") == text.count("<details>")
