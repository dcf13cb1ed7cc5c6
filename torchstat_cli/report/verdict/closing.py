"""The last words of a verdict: what was decided in one line, and what the reader should know besides."""

from __future__ import annotations

from dataclasses import replace

from torchstat_cli.gate.limits import Ceiling
from torchstat_cli.gate.verdict import STRICT, UNDECIDED, ModelVerdict, State, Verdict
from torchstat_cli.report.verdict.cells import counted, number_cells

_ASIDES = {
    State.NEW: "{} new",
    State.GONE: "{} gone",
    State.INHERITED: "{} over a ceiling that was broken before",
    State.PARTIAL: "{} counted in part",
}


def closing_line(verdict: Verdict) -> str:
    """The whole verdict in one line that starts with its word."""
    if verdict.update is not None and verdict.state is State.PASS:
        return _update_line(verdict)
    if verdict.state is State.ERROR:
        return f"ERROR  {_undecided(verdict)}"
    if verdict.state is State.FAIL:
        return f"FAIL  {failure_summary(verdict)}{'   (--exit-zero)' if verdict.exit_zero else ''}"
    return _pass_line(verdict)


def _undecided(verdict: Verdict) -> str:
    undecided = [model for model in verdict.models if model.state in UNDECIDED]
    rest = [model for model in verdict.models if model.state not in UNDECIDED and model.state is not State.GONE]
    failed = sum(map(verdict.fails, rest))
    checked = "1 other was" if len(rest) == 1 else f"{len(rest)} others were"
    passed = ", ".join([f"{len(rest) - failed} passed"] * (len(rest) > failed) + [f"{failed} failed"] * (failed > 0))
    others = f"; {checked} checked: {passed}" if rest else ""
    return f"{len(undecided)} of {counted(len(verdict.models), 'model')} could not be decided{others}"


def failure_summary(verdict: Verdict) -> str:
    """``1 of 2 models: 2 of 6 numbers over their limit``, and under --strict what else is not accepted."""
    numbers = [check for model in verdict.models for check in model.shown]
    broken = sum(check.state is State.FAIL for check in numbers)
    reasons = []
    if broken:
        reasons.append(f"{broken} of {counted(len(numbers), 'number')} over {'its' if broken == 1 else 'their'} limit")
    if verdict.strict:
        refused = {state: len(verdict.having(state)) for state in (*_ASIDES, State.BETTER)}
        words = ", ".join(f"{number} {state.value.lower()}" for state, number in refused.items() if number)
        reasons += [f"{words} (--strict)"] if words else []
    return f"{len(verdict.failing)} of {counted(len(verdict.models), 'model')}: {'; '.join(reasons)}"


def _pass_line(verdict: Verdict) -> str:
    better = verdict.having(State.BETTER)
    if better and not any(model.accepted for model in verdict.models):
        numbers = sum(check.state is State.BETTER for model in better for check in model.shown)
        names = " ".join(model.name for model in better)
        verb = "number is" if numbers == 1 else "numbers are"
        return (
            f"PASS  {counted(len(verdict.models), 'model')}. {numbers} {verb} better than the baseline; "
            f"keep the win:  modelstat check {names} --ratchet"
        )
    return f"PASS  {pass_summary(verdict)}{_tail(verdict)}"


def pass_summary(verdict: Verdict) -> str:
    """``2 models, 6 numbers, none grew``, and how many models are new, gone and so on."""
    present = [model for model in verdict.models if model.state is not State.GONE]
    compared = [check for model in present for check in model.shown if check.baseline is not None]
    accepted = sum(check.accepted_from is not None for check in compared)
    grew = sum(check.delta > 0 and check.accepted_from is None for check in compared)
    words = [counted(len(present), "model")]
    if compared:
        words += [counted(len(compared), "number")]
        words += [f"{grew} grew within limits"] if grew else []
        words += [f"{accepted} grew, accepted in this branch"] if accepted else []
        words += [] if grew or accepted else ["none grew"]
    asides = [text.format(_are(len(verdict.having(state)))) for state, text in _ASIDES.items() if verdict.having(state)]
    return "; ".join([", ".join(words), *asides])


def _are(number: int) -> str:
    return f"{counted(number, 'model')} {'is' if number == 1 else 'are'}"


def _tail(verdict: Verdict) -> str:
    if verdict.having(*STRICT):
        return "          (--strict would fail)"
    where = f" where {verdict.against} forked" if verdict.against else ""
    return f"        baseline {verdict.baseline}{where}"


def _update_line(verdict: Verdict) -> str:
    update = verdict.update
    assert update is not None
    if not update.changed:
        return f"PASS  {verdict.baseline} is up to date"
    parts = [f"wrote {', '.join(update.written)}"] if update.written else []
    parts += [f"dropped {', '.join(update.pruned)}"] if update.pruned else []
    return f"PASS  {'; '.join(parts) or 'rewrote the file'}        now commit {verdict.baseline}"


def model_notices(verdict: Verdict) -> list[str]:
    """Sentences on models that pass but ask for something, and how to do it."""
    lines = [f"  migrated {text}" for text in verdict.update.migrated] if verdict.update else []
    for model in verdict.models:
        for state in (State.NEW, State.GONE, State.INHERITED, State.PARTIAL):
            if state in model.states and model.state not in UNDECIDED:
                lines += _notice(verdict, state, model)
        if verdict.strict and model.state is State.BETTER:
            lines.append(
                f"  {model.name} is better than its baseline. Keep the win:  modelstat check {model.name} --ratchet"
            )
        lines += [f"  {model.name}: {text}" for text in accepted_growth(model)]
        if model.state is not State.FAIL:
            lines += [f"  {model.name}: {note}" for note in model.notes]
    return lines


def accepted_growth(model: ModelVerdict) -> list[str]:
    """``flops 180.8 M -> 383.8 M (+112.28 %), accepted in this branch``, for each such number."""
    return [f"{replace(number_cells(check), limit='').sentence}, accepted in this branch" for check in model.accepted]


def _notice(verdict: Verdict, state: State, model: ModelVerdict) -> list[str]:
    name = model.name
    if state is State.NEW:
        return _new_notice(verdict, model)
    if state is State.GONE:
        return [f"  {name} is no longer configured. Drop its entry:  modelstat check --update"]
    if state is State.INHERITED:
        metrics = ", ".join(check.label for check in model.checks if check.state is State.INHERITED)
        return [f"  {name} was over its ceiling on {metrics} before this branch, which made it no worse."]
    operators = ", ".join(f"{operator.op} ({counted(operator.calls, 'call')})" for operator in model.unknown)
    return [f"  {name} has operators without a rule, so its totals are lower bounds: {operators}"]


def _new_notice(verdict: Verdict, model: ModelVerdict) -> list[str]:
    limits = [limit for check in model.checks for limit in check.limits]
    none = "" if any(isinstance(limit, Ceiling) for limit in limits) else " (it has none)"
    fresh = [check.label for check in model.shown if check.state is State.NEW]
    if any(check.baseline is not None for check in model.checks):
        subject = f"{', '.join(fresh)} of {model.name} {'is' if len(fresh) == 1 else 'are'} not in its baseline entry"
    else:
        subject = f"{model.name} has no baseline entry"
    former = model.renamed_from
    renamed = f"  {model.name} has {former}'s numbers: renamed?  {verdict.accept()}  moves the entry."
    return [
        *([renamed] if former is not None else []),
        f"  {subject}, so only its ceilings were judged{none}.",
        f"  Start guarding it:  {verdict.accept(model.name)}",
    ]
