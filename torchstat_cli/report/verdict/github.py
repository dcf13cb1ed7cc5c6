"""A verdict as GitHub workflow commands: one annotation per model, at the line of its factory."""

from __future__ import annotations

import posixpath

from torchstat_cli.gate.verdict import UNDECIDED, ModelVerdict, State, Verdict
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.verdict.block import explained_metrics, top_group
from torchstat_cli.report.verdict.cells import number_cells
from torchstat_cli.report.verdict.closing import accepted_growth

MOST_ANNOTATIONS = 10
"""GitHub shows ten per step and drops the rest without a word."""


def render_github(verdict: Verdict, folder: str = "") -> str:
    """One line per model that has something to say, errors first.

    Args:
        folder: of the configuration, relative to the root of the repository; sources are written from there.
    """
    verdict = cleaned(verdict)
    spoken = [(level, model) for model in verdict.models if (level := _level(verdict, model))]
    spoken.sort(key=lambda pair: ("error", "warning", "notice").index(pair[0]))
    kept = spoken if len(spoken) <= MOST_ANNOTATIONS else spoken[: MOST_ANNOTATIONS - 1]
    lines = [_annotation(verdict, level, model, folder) for level, model in kept]
    if len(kept) < len(spoken):
        level = spoken[len(kept)][0]
        rest = f"and {len(spoken) - len(kept)} more models; the step summary has all of them"
        lines.append(f"::{level} title=modelstat::{escape_message(rest)}")
    return "".join(f"{line}\n" for line in lines)


def _level(verdict: Verdict, model: ModelVerdict) -> str | None:
    if model.state in UNDECIDED or verdict.fails(model):
        return "error"
    if model.states & {State.INHERITED, State.PARTIAL}:
        return "warning"
    return "notice" if model.states & {State.NEW, State.GONE} or model.accepted else None


def _annotation(verdict: Verdict, level: str, model: ModelVerdict, folder: str) -> str:
    properties = {"title": f"modelstat {model.name}"}
    if model.source:
        file, _, line = model.source.rpartition(":")
        properties |= {"file": posixpath.normpath(posixpath.join(folder, file)), "line": line}
    written = ",".join(f"{name}={escape_property(value)}" for name, value in properties.items())
    return f"::{level} {written}::{escape_message(_message(verdict, model))}"


def _message(verdict: Verdict, model: ModelVerdict) -> str:
    if model.state in UNDECIDED:
        return "\n".join(filter(None, (model.problem, model.remedy)))
    if model.state is State.GONE:
        return "in the baseline, but no longer configured"
    broken = [number_cells(check).sentence for check in model.shown if check.state is State.FAIL]
    if broken:
        biggest = top_group(model, explained_metrics(model))
        return "\n".join(filter(None, ("; ".join(broken), biggest, model.message)))
    if model.renamed_from is not None:
        return f"has {model.renamed_from}'s numbers: renamed?"
    if State.NEW in model.states:
        return f"no baseline entry, only ceilings were judged; run: {verdict.accept(model.name)}"
    inherited = [number_cells(check).sentence for check in model.shown if check.state is State.INHERITED]
    if inherited:
        return f"over a ceiling before this branch already: {'; '.join(inherited)}"
    if model.unknown:
        return f"totals are lower bounds, no rule for {', '.join(operator.op for operator in model.unknown)}"
    if model.accepted:
        return "; ".join(accepted_growth(model))
    better = [number_cells(check).sentence for check in model.shown if check.state is State.BETTER]
    return f"better than the baseline, keep the win: {'; '.join(better)}"


def escape_message(text: str) -> str:
    """``text`` as the message of a workflow command; ours are full of percents."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """``text`` as a property of a workflow command."""
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
