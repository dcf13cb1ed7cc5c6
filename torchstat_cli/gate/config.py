"""What the gate is asked to do: ``[tool.modelstat]`` as frozen records, every unknown key an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torchstat_cli.errors import ConfigError, UsageError
from torchstat_cli.foreign_text import cleaned, quoted
from torchstat_cli.gate.config_table import TableReader, closest
from torchstat_cli.gate.limits import Limit, parse_limits
from torchstat_cli.gate.metrics import METRICS, SUMMED_METRICS

DEFAULT_BASELINE = "modelstat-baseline.json"
DEFAULT_LIMITS: Mapping[str, str] = {"params": "+1%", "flops": "+1%"}

_TOOL_KEYS = ("baseline", "jobs", "limits", "models", "timeout")
_MODEL_KEYS = ("args", "attention", "dtype", "input", "inputs", "limits", "message", "mode", "modules", "spec")


@dataclass(frozen=True, slots=True)
class Rule:
    """The limits of one metric, and where they were written."""

    limits: tuple[Limit, ...]  # all must hold; empty is "off"
    origin: str  # "[tool.modelstat]", "--limit", "default"

    @property
    def is_default(self) -> bool:
        """Whether nobody asked for it."""
        return self.origin == "default"


Rules = Mapping[str, Rule]  # by metric


@dataclass(frozen=True)
class ModelEntry:
    """One model to check: how to build and run it, and what it may cost."""

    name: str
    spec: str
    rules: Rules
    inputs: tuple[str, ...] = ()  # input specs; empty: the model's own example inputs
    inputs_factory: str | None = None  # "module:factory" that returns the inputs
    arguments: Mapping[str, Any] = field(default_factory=dict)  # for the factory
    mode: str = "eval"
    attention: str = "auto"  # backend of scaled dot-product attention to count and simulate
    dtype: str | None = None  # of floating parameters and inputs, as torch spells it
    module_rules: Mapping[str, Rules] = field(default_factory=dict)  # by glob over module paths
    message: str | None = None  # shown on failure
    origin: str = "command line"  # the table it came from
    directory: str = "."  # where specs are resolved

    @property
    def needs_peak(self) -> bool:
        """Whether a limit asks for the peak, which takes a simulation of memory."""
        return "peak" in self.rules and bool(self.rules["peak"].limits)


@dataclass(frozen=True)
class GateConfig:
    """Everything ``modelstat check`` was configured with."""

    baseline: Path
    models: tuple[ModelEntry, ...] = ()
    rules: Rules = field(default_factory=dict)  # for models that name none
    path: Path | None = None  # the file it came from
    section: str = "defaults"  # "[tool.modelstat]", or the file's name where it has no section
    jobs: int | None = None
    timeout: float = 600.0  # seconds for one model
    baseline_origin: str = "default"

    def select(self, names: tuple[str, ...]) -> tuple[ModelEntry, ...]:
        """The models to check: all configured ones, or those named; a spec with ``:`` or ``/`` need not be configured.

        Raises:
            UsageError: nothing to check, or a name that is neither configured nor a spec.
        """
        if not names and not self.models:
            raise UsageError(
                "no model is configured, so there is nothing to check",
                "add [tool.modelstat.models.NAME] with a spec to pyproject.toml, or: modelstat check MODULE:FACTORY",
            )
        return tuple(map(self._named, dict.fromkeys(names))) if names else self.models

    def _named(self, name: str) -> ModelEntry:
        configured = {model.name: model for model in self.models}
        if name in configured:
            return configured[name]
        if self.models and ":" not in name and "/" not in name:
            hint = closest(name, configured) or f"configured are {', '.join(sorted(configured))}"
            raise UsageError(f"{quoted(name)} is neither a configured model nor a MODULE:FACTORY spec", hint)
        return ModelEntry(name, name, self.rules)

    def with_limits(self, texts: tuple[str, ...]) -> GateConfig:
        """The same with ``METRIC=LIMIT`` pairs of the command line laid over every model.

        Raises:
            UsageError: a pair without ``=``.
            ConfigError: an unknown metric, or no limit.
        """
        written: dict[str, list[str]] = {}
        for text in texts:
            metric, equals, limit = text.partition("=")
            if not equals:
                raise UsageError(
                    f"--limit {quoted(text)} names no metric", "write it as METRIC=LIMIT, for example flops=+1%"
                )
            written.setdefault(metric.strip(), []).append(limit)
        rules = read_rules(written, "--limit", METRICS)
        models = tuple(replace(model, rules={**model.rules, **rules}) for model in self.models)
        return replace(self, models=models, rules={**self.rules, **rules})


def default_rules() -> dict[str, Rule]:
    """The limits that hold where nobody names any."""
    return read_rules(DEFAULT_LIMITS, "default", METRICS)


def default_config(directory: Path) -> GateConfig:
    """The configuration of a project that has none."""
    return GateConfig(baseline=directory / DEFAULT_BASELINE, rules=default_rules())


def read_config(table: Mapping[str, Any], path: Path, section: str) -> GateConfig:
    """The configuration that ``table`` writes down; ``section`` is what messages call the table.

    Raises:
        ConfigError: an unknown key, a value of the wrong type, or a limit that is none.
    """
    reader = TableReader(table, section)
    reader.only(_TOOL_KEYS)
    rules = {**default_rules(), **read_rules(reader.table_at("limits"), section, METRICS)}
    models = tuple(
        _read_model(TableReader(value, _subsection(section, name)), name, rules, path)
        for name, value in reader.table_at("models").items()
    )
    baseline = reader.text("baseline")
    return GateConfig(
        baseline=path.parent / (baseline or DEFAULT_BASELINE),
        models=models,
        rules=rules,
        path=path,
        section=section,
        jobs=reader.positive("jobs", whole=True),
        timeout=reader.positive("timeout") or GateConfig.timeout,
        baseline_origin=section if baseline else "default",
    )


def _subsection(section: str, name: str) -> str:
    shown = cleaned(name)
    return f"{section[:-1]}.models.{shown}]" if section.endswith("]") else f"[models.{shown}]"


def _read_model(reader: TableReader, name: str, rules: Rules, path: Path) -> ModelEntry:
    reader.only(_MODEL_KEYS)
    spec = reader.text("spec")
    if spec is None:
        raise ConfigError(f"{reader.name} has no spec", 'say which model it is: spec = "package.module:factory"')
    modules = {
        glob: read_rules(TableReader(value, f"{reader.name} modules").table, f"{reader.name} modules", SUMMED_METRICS)
        for glob, value in reader.table_at("modules").items()
    }
    return ModelEntry(
        name=name,
        spec=spec,
        rules={**rules, **read_rules(reader.table_at("limits"), reader.name, METRICS)},
        inputs=reader.texts("input"),
        inputs_factory=reader.text("inputs"),
        arguments=reader.table_at("args"),
        mode=reader.choice("mode", ("eval", "train")) or "eval",
        attention=reader.choice("attention", ("auto", "math", "flash", "efficient")) or "auto",
        dtype=reader.text("dtype"),
        module_rules=modules,
        message=reader.text("message"),
        origin=reader.name,
        directory=str(path.parent),
    )


def read_rules(table: Mapping[str, Any], origin: str, metrics: Mapping[str, Any] | tuple[str, ...]) -> dict[str, Rule]:
    """The limits of a ``limits`` table, by metric.

    Raises:
        ConfigError: a metric that is not in ``metrics``, or a value that is no limit.
    """
    for name in table:
        if name not in metrics:
            hint = closest(name, metrics) or f"metrics are {', '.join(metrics)}"
            raise ConfigError(f"{origin} limits the unknown metric {quoted(name)}", hint)
    return {name: Rule(parse_limits(value, METRICS[name]), origin) for name, value in table.items()}
