from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

from tests.report.verdicts import BETTER, ERROR, EVERY_STATE, FAILING, GONE, NEW, PARTIAL, PASSING, run
from torchstat_cli.report.verdict.junit import render_junit


def failures(text: str) -> list[str]:
    root = ElementTree.fromstring(text)
    return [case.get("name", "") for case in root.iter("testcase") if case.find("failure") is not None]


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("gate/verdict.xml", render_junit(run(*EVERY_STATE)))


def test_one_suite_per_model_and_one_case_per_number() -> None:
    root = ElementTree.fromstring(render_junit(run(PASSING, FAILING)))
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["resnet18", "vit_tiny"]
    assert [case.get("name") for case in suites[0]] == ["params", "trainable", "flops", "madds", "memory"]
    assert (suites[0].get("tests"), suites[0].get("failures")) == ("5", "0")
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("10", "2", "0")
    failure = suites[1].find("testcase/failure")
    assert failure is not None
    assert failure.text == "params 5.712 M -> 6.895 M (+20.70 %), limit +1%"
    assert (suites[1][0].get("file"), suites[1][0].get("line")) == ("sample_models/vit.py", "14")


def test_strict_fails_more() -> None:
    models = (BETTER, NEW, PARTIAL, GONE)
    assert failures(render_junit(run(*models))) == []
    assert failures(render_junit(run(*models, strict=True))) == [
        *("params", "flops", "memory"),  # better
        *("params", "flops", "memory"),  # new
        "counted in full",
        "configured",
    ]


def test_errors_are_errors_and_control_characters_are_no_xml() -> None:
    root = ElementTree.fromstring(render_junit(run(replace(ERROR, name="a\x00b", problem="red \x1b[31m & <b>"))))
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert error.get("message") == "red ?[31m & <b>"
    assert root.get("errors") == "1"
