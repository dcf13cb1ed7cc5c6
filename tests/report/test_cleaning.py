"""Names of any kind in every output for people: nothing moves a cursor, breaks a line or commands GitHub's log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.gate.profiles import entry, linear, profile
from tests.report.profiles import PROVENANCE, TINY, module
from tests.report.verdicts import ERROR, FAILING, run
from torchstat_cli.errors import ModelError
from torchstat_cli.gate.compare import compare_profiles
from torchstat_cli.gate.config import read_config
from torchstat_cli.gate.judge import failed_model, gone_model, judge_model, take_snapshot
from torchstat_cli.gate.verdict import Verdict
from torchstat_cli.records import CLASSES, FitPoint, FitResult, Profile, UnknownOperator
from torchstat_cli.report import fit, render
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.listing import render_listing
from torchstat_cli.report.profile.formats.html import render as render_html
from torchstat_cli.report.terminal import Terminal
from torchstat_cli.report.verdict.comparison import render_comparison
from torchstat_cli.report.verdict.config import render_config
from torchstat_cli.report.verdict.github import render_github
from torchstat_cli.report.verdict.markdown import render_markdown
from torchstat_cli.report.verdict.text import TextStyle, render_text

NAMES = {
    "command": "::error::boo",
    "old command": "##[error]boo",
    "line": "a\n::error::boo",
    "return": "a\r::error::boo",
    "escape": "a\x1b[2Jboo",
    "separator": "a\u2028::error::boo",
    "turned": "a\u202eboo",
    "nul": "a\0boo",
    "surrogate": "a\udc80boo",
}


def verdicts(name: str) -> Verdict:
    """One in which every text that a report shows is ``name``."""
    model = replace(entry(name, params="+1%"), message=name, spec=name)
    before = take_snapshot(model, profile(linear(name, 4, 4)))
    failing = judge_model(model, profile(linear(name, 4, 8), unknown=(name,)), before, None, against=False)
    new = judge_model(replace(model, message=None), profile(linear(name, 4, 4)), None, None, against=False)
    error = replace(failed_model(model, ModelError("x")), problem=name, remedy=name)
    models = (replace(failing, notes=(name,), source=f"{name}:3"), new, error, gone_model(name))
    return run(*models, notices=(name,), against=name, strict=True)


def profiled(name: str) -> Profile:
    row = module(name, name, params=1)
    unknown = (UnknownOperator(name, 1, (name,)),)
    origin = replace(PROVENANCE, spec=name, resolved=name, class_name=name, assumptions=(name,), notices=(name,))
    return replace(TINY, provenance=origin, rows=(row,), unknown=unknown, never_called=(name,))


def fitted(name: str) -> FitResult:
    point = FitPoint(1, 8, (8, *(0,) * (len(CLASSES) - 1)), name, "forward")
    return FitResult(name, (name,), 10, name, name, (point,), point, 1, name)


def compared(name: str, form: str) -> str:
    other = profile(linear("b", 4, 4), unknown=(name,))
    return render_comparison(compare_profiles(profile(linear(name, 4, 4)), other, (name, name)), form)


def configured(name: str) -> str:
    text = name.replace("\0", "")  # which no value may hold
    table = {"models": {name: {"spec": text, "message": text, "modules": {name: {"params": "1 k"}}}}}
    config = read_config(table, Path("pyproject.toml"), "[tool.modelstat]")
    return render_config(config, config.models)


OUTPUTS: dict[str, Callable[[str], str]] = {
    "check, text": lambda name: render_text(verdicts(name), TextStyle(verbose=True, explain=True)),
    "check, colored": lambda name: render_text(verdicts(name)),
    "check, markdown": lambda name: render_markdown(verdicts(name)),
    "check, github": lambda name: render_github(verdicts(name)),
    "profile, table": lambda name: render(profiled(name), "table"),
    "profile, ascii": lambda name: render(profiled(name), "table", None, Terminal(ascii=True)),
    "profile, markdown": lambda name: render(profiled(name), "markdown"),
    "profile, html": lambda name: render_html(profiled(name)),
    "compare, text": lambda name: compared(name, "text"),
    "compare, markdown": lambda name: compared(name, "markdown"),
    "fit": lambda name: fit.render(fitted(name)),
    "nodes": lambda name: render_listing(("name",), [(name,)], "table", Terminal()),
    "configuration": configured,
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_name_of_any_kind_is_only_a_name(name: str, output: str) -> None:
    text = OUTPUTS[output](name)
    assert "boo" in text
    assert [line for line in text.split("\n") if not line.isprintable()] == []
    if output != "check, github":
        assert [line for line in text.split("\n") if line.strip().startswith("::")] == []
    else:
        assert all(line.startswith(("::error title=", "::warning title=")) for line in text.splitlines())
    assert "##[" not in text


@pytest.mark.parametrize("name", ["[/b]", "[red]x", "[link=x]y", "a[/b:heart:]", ":heart:", "x\\"])
def test_names_are_no_markup(name: str) -> None:
    assert name in render_listing(("name",), [(name,)], "table", Terminal())


def test_title_of_a_row_holds_no_control_characters() -> None:
    titles: list[str | None] = []

    class Titles(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            titles.extend(value for key, value in attrs if key == "title")

    Titles().feed(render_html(profiled("a\x1b\0\u202eb")))
    assert "a\\x1b\\x00\\u202eb" in titles


def test_sentences_keep_their_lines_and_records_their_values() -> None:
    model = replace(FAILING, message="one\n::two", name="one\ntwo")
    assert cleaned(model).message == "one\n\\x3a:two"
    assert cleaned(model).name == "one\\ntwo"
    assert cleaned(run(FAILING, ERROR)) == run(FAILING, ERROR)
