"""A verdict for programs: exact integers, a schema number, the same keys whatever was decided."""

from __future__ import annotations

import json
from typing import Any

from torchstat_cli.gate.explain import GroupChange
from torchstat_cli.gate.layer_groups import Group
from torchstat_cli.gate.limits import spell_limits
from torchstat_cli.gate.metrics import METRICS
from torchstat_cli.gate.verdict import Check, ModelVerdict, Update, Verdict

VERDICT_SCHEMA = 1


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values."""
    return {
        "schema": VERDICT_SCHEMA,
        "tool": "modelstat",
        "verdict": verdict.state.value,
        "exit_code": verdict.exit_code,
        "strict": verdict.strict,
        "exit_zero": verdict.exit_zero,
        "baseline": verdict.baseline,
        "against": verdict.against,
        "models": [_model(model) for model in verdict.models],
        "checks": [_check(model.name, check) for model in verdict.models for check in model.checks],
        "explain": [change for model in verdict.models for change in _changes(model)],
        "update": _update(verdict.update),
        "notices": list(verdict.notices),
    }


def render_json(verdict: Verdict) -> str:
    """The document as text, two spaces deep, with a newline at its end."""
    return json.dumps(verdict_document(verdict), indent=2) + "\n"


def _model(model: ModelVerdict) -> dict[str, Any]:
    return {
        "name": model.name,
        "state": model.state.value,
        "source": model.source,
        "problem": model.problem,
        "remedy": model.remedy,
        "notes": list(model.notes),
        "renamed_from": model.renamed_from,
        "unknown": [{"op": operator.op, "calls": operator.calls} for operator in model.unknown],
    }


def _check(model: str, check: Check) -> dict[str, Any]:
    known = check.baseline is not None
    return {
        "model": model,
        "metric": check.metric,
        "module": check.module,
        "state": check.state.value,
        "baseline": check.baseline,
        "current": check.current,
        "limit": spell_limits(check.limits, METRICS[check.metric]) if check.limits else None,
        "delta": check.delta if known else None,
        "percent": round(100 * check.delta / check.baseline, 4) if check.baseline else None,
        "accepted_from": check.accepted_from,
    }


def _changes(model: ModelVerdict) -> list[dict[str, Any]]:
    changes = model.explanation.changes if model.explanation else ()
    return [{"model": model.name, **change_document(change)} for change in changes]


def change_document(change: GroupChange) -> dict[str, Any]:
    """One changed layer group as plain values."""
    return {
        "path": change.path,
        "kind": change.kind,
        "before": [_group(group) for group in change.before],
        "after": [_group(group) for group in change.after],
        "deltas": dict(change.deltas),
    }


def _group(group: Group) -> dict[str, Any]:
    return {"signature": group.signature, "count": group.count}


def _update(update: Update | None) -> dict[str, Any] | None:
    if update is None:
        return None
    return {
        "written": list(update.written),
        "pruned": list(update.pruned),
        "changed": update.changed,
        "migrated": list(update.migrated),
    }
