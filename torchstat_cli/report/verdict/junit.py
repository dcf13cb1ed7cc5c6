"""A verdict as JUnit XML: one suite per model, one case per number, passes included."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from torchstat_cli.gate.verdict import STRICT, UNDECIDED, Check, ModelVerdict, State, Verdict
from torchstat_cli.report.verdict.cells import number_cells

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(verdict: Verdict) -> str:
    """The verdict as an XML document."""
    root = ElementTree.Element("testsuites", name="modelstat check")
    for model in verdict.models:
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(model.name))
        _fill(suite, model, verdict)
        _count(suite)
    _count(root)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _fill(suite: ElementTree.Element, model: ModelVerdict, verdict: Verdict) -> None:
    if model.state in UNDECIDED:
        text = "\n".join(filter(None, (model.problem, model.remedy)))
        _outcome(_case(suite, model, "measured"), "error", model.state, text)
    if model.state is State.GONE:
        kind = "failure" if verdict.strict else "skipped"
        _outcome(_case(suite, model, "configured"), kind, model.state, "in the baseline, but no longer configured")
    if model.unknown:
        case = _case(suite, model, "counted in full")
        operators = ", ".join(operator.op for operator in model.unknown)
        if verdict.strict:
            _outcome(case, "failure", State.PARTIAL, f"operators without a rule: {operators}")
    for check in model.checks:
        case = _case(suite, model, check.label)
        if _fails(check, verdict):
            _outcome(case, "failure", check.state, number_cells(check).sentence)


def _fails(check: Check, verdict: Verdict) -> bool:
    return check.state is State.FAIL or (verdict.strict and check.shown and check.state in STRICT)


def _case(suite: ElementTree.Element, model: ModelVerdict, name: str) -> ElementTree.Element:
    case = ElementTree.SubElement(suite, "testcase", classname=f"modelstat.{_clean(model.name)}", name=_clean(name))
    if model.source:
        file, _, line = model.source.rpartition(":")
        case.set("file", _clean(file))
        case.set("line", line)
    return case


def _outcome(case: ElementTree.Element, kind: str, state: State, text: str) -> None:
    outcome = ElementTree.SubElement(case, kind, type=state.value, message=_clean(text.partition("\n")[0]))
    outcome.text = _clean(text)


def _count(element: ElementTree.Element) -> None:
    element.set("tests", str(len(list(element.iter("testcase")))))
    for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        element.set(plural, str(len(list(element.iter(kind)))))


def _clean(text: str) -> str:
    """``text`` without the control characters that no XML document may hold."""
    return _FORBIDDEN.sub("?", text)
