"""The effective configuration of the gate, every value with the place it was written."""

from __future__ import annotations

from pathlib import Path

from torchstat_cli.gate.config import GateConfig, ModelEntry, Rules
from torchstat_cli.gate.limits import spell_limits
from torchstat_cli.gate.metrics import METRICS
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.layout import Column, table_lines

_Line = tuple[str, str, str]  # key, value, origin
_COLUMNS = (Column(gap=0), Column(gap=3), Column(gap=3))


def render_config(config: GateConfig, models: tuple[ModelEntry, ...]) -> str:
    """Key, value and origin, one per line; ``models`` are those that a run would check."""
    where = config.section if config.path else "default"
    lines: list[_Line] = [
        ("file", str(config.path) if config.path else "none", where),
        ("baseline", _short(config.baseline), config.baseline_origin),
    ]
    lines += [("jobs", str(config.jobs), where)] if config.jobs else []
    lines.append(("timeout", f"{config.timeout:g} s", where))
    for model in models:
        lines += [("", "", ""), (model.name, "", ""), *_model_lines(model)]
    return "".join(f"{line}\n" for line in table_lines(cleaned(tuple(lines)), _COLUMNS))


def _model_lines(model: ModelEntry) -> list[_Line]:
    values = {
        "spec": model.spec,
        "input": ", ".join(model.inputs),
        "inputs": model.inputs_factory or "",
        "args": ", ".join(f"{name}={value!r}" for name, value in model.arguments.items()),
        "mode": model.mode,
        "attention": model.attention if model.attention != "auto" else "",
        "dtype": model.dtype or "",
        "message": model.message or "",
    }
    lines = [(f"  {name}", text, model.origin) for name, text in values.items() if text]
    lines += _limit_lines("  limit ", model.rules)
    for glob, rules in model.module_rules.items():
        lines += _limit_lines(f"  limit {glob} ", rules)
    return lines


def _limit_lines(label: str, rules: Rules) -> list[_Line]:
    return [
        (f"{label}{metric}", spell_limits(rules[metric].limits, METRICS[metric]), rules[metric].origin)
        for metric in METRICS
        if metric in rules
    ]


def _short(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)
