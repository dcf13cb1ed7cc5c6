"""The page that sets every tool's numbers beside the exact ones; a pure function of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.contest import Outcome
from torchstat_cli.units import format_count

COMMAND = "python -m benchmarks peers --write"
_FAILED = "x"
_METHOD = """\
Every pair of tool and model ran in a process of its own, on models with random weights, in eval mode, batch 1
(lstm: 8). The exact count is torch's own FlopCounterMode on meta tensors, with a rule for the
grouped product that it lacks: no number of modelstat's. The peers are installed with
`pip install --constraint constraints.txt --requirement benchmarks/requirements.txt`.
"""
_MADDS = """\
## Multiply-accumulates

The error against the exact count; `=` is exact, `x` a failure (the reasons stand below), `-` no such number.
"""
_PARAMS = """\
## Parameters

The error against `sum(p.numel() for p in model.parameters())`.
"""
_TIME = """\
## Time

Milliseconds of CPU on one thread: the fastest of later calls / the first call, each on a new copy of the model. The
tools take turns, call by call. Building and copying the model and importing the tool are not in it.
"""
_TOYS = """\
## Toys, where modelstat is not the fastest

modelstat takes a millisecond or more, whatever the model. What runs in less is answered sooner by a tool that merely
runs it; so are these models of two layers, not in the tables above (toy encoder: batch 2, the others 1). Their counts,
then their times.
"""
_TOOLS = "## What each number is, and where it is wrong\n"
_FAILURES = "## Failures\n"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a model really has."""

    model: str
    library: str
    madds: int  # multiply-accumulates of contractions
    params: int  # elements of distinct parameters


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that one comparison saw."""

    truths: tuple[Truth, ...]
    outcomes: tuple[Outcome, ...]
    tools: tuple[str, ...]  # in the order of the columns, modelstat first
    baseline: str | None = None  # counts nothing; a column of the times alone

    def of(self, model: str, tool: str) -> Outcome:
        """What ``tool`` said of ``model``.

        Raises:
            KeyError: that pair was not measured.
        """
        for outcome in self.outcomes:
            if (outcome.model, outcome.tool) == (model, tool):
                return outcome
        raise KeyError((model, tool))


def error_cell(value: int | None, truth: int) -> str:
    """``=`` where a number is exact, its signed error where not, ``-`` where there is none.

    A difference never prints as no difference: what rounds to 0.0 % keeps its count.
    """
    if value is None:
        return "-"
    if value == truth:
        return "="
    percent = f"{100 * (value - truth) / truth:+.1f} %"
    return f"{value - truth:+,}" if float(percent.removesuffix(" %")) == 0 else percent


def seconds_cell(outcome: Outcome) -> str:
    """Milliseconds of a later call, then of the first: ``27.1 / 40.3``."""
    if outcome.warm_s is None or outcome.first_s is None:
        return _FAILED
    return f"{1e3 * outcome.warm_s:.1f} / {1e3 * outcome.first_s:.1f}"


def warm_cell(outcome: Outcome) -> str:
    """Milliseconds of a later call."""
    return _FAILED if outcome.warm_s is None else f"{1e3 * outcome.warm_s:.1f}"


def madds_cell(outcome: Outcome, truth: Truth) -> str:
    """The error of the multiply-accumulates, ``x`` where the tool failed."""
    return _FAILED if outcome.failure else error_cell(outcome.madds, truth.madds)


def params_cell(outcome: Outcome, truth: Truth) -> str:
    """The error of the parameters, ``x`` where the tool failed."""
    return _FAILED if outcome.failure else error_cell(outcome.params, truth.params)


def page(
    results: Results, toys: Results, versions: Mapping[str, str], words: Mapping[str, str], faults: Mapping[str, str]
) -> str:
    """``docs/peers.md``.

    Args:
        results: the comparison.
        toys: the same on models that are too small for it.
        versions: of every package that took part.
        words: by tool, which of its numbers are read as MAdds.
        faults: by tool, where it is wrong and why.
    """
    described = (f"**{tool}** ({words[tool]}). {faults.get(tool, '')}" for tool in results.tools if tool in words)
    parts = (
        _opening(versions),
        _MADDS,
        markdown_table(madds_lines(results)),
        _PARAMS,
        markdown_table(lines(results, "exact params", lambda truth: format_count(truth.params), params_cell)),
        _TIME,
        markdown_table(time_lines(results, seconds_cell)),
        _TOYS,
        markdown_table(madds_lines(toys)),
        markdown_table(time_lines(toys, seconds_cell)),
        _TOOLS,
        *(f"{text.rstrip()}\n" for text in described),
        _FAILURES,
        _failures((*results.outcomes, *toys.outcomes)),
    )
    return "\n".join(parts)


def _opening(versions: Mapping[str, str]) -> str:
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    return f"# modelstat and its peers\n\nWritten by `{COMMAND}`; do not edit. Measured with {listed}.\n\n{_METHOD}"


def lines(
    results: Results, first: str, fact: Callable[[Truth], str], cell: Callable[[Outcome, Truth], str]
) -> list[tuple[str, ...]]:
    """A head, then one line per model: its name, a fact, one cell per tool."""
    return _lines(results, results.tools, first, fact, cell)


def madds_lines(results: Results) -> list[tuple[str, ...]]:
    """The same for the errors of the multiply-accumulates."""
    return lines(results, "exact MAdds", lambda truth: format_count(truth.madds), madds_cell)


def time_lines(results: Results, cell: Callable[[Outcome], str]) -> list[tuple[str, ...]]:
    """The same with the library of each model, and the baseline among the tools."""
    tools = results.tools if results.baseline is None else (*results.tools, results.baseline)
    return _lines(results, tools, "library", lambda truth: truth.library, lambda outcome, _: cell(outcome))


def _lines(
    results: Results,
    tools: Sequence[str],
    first: str,
    fact: Callable[[Truth], str],
    cell: Callable[[Outcome, Truth], str],
) -> list[tuple[str, ...]]:
    body = (
        (truth.model, fact(truth), *(cell(results.of(truth.model, tool), truth) for tool in tools))
        for truth in results.truths
    )
    return [("model", first, *tools), *body]


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """A table whose first line is the head; all columns but the first flush right."""
    rule = ("---", *("---:" for _ in lines[0][1:]))
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:])) + "\n"


def _failures(outcomes: Iterable[Outcome]) -> str:
    """Every pair that gave no number, with the reason on one line."""
    failed = (entry for entry in outcomes if entry.failure)
    return (
        "".join(f"- {entry.tool}, {entry.model}: {' '.join(str(entry.failure).split())}\n" for entry in failed)
        or "None.\n"
    )
