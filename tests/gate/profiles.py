"""Profiles for the gate's tests, written down row by row; every total is the sum of its rows by construction."""

from __future__ import annotations

from typing import Any

from torchstat_cli.gate.config import ModelEntry, read_rules
from torchstat_cli.gate.metrics import METRICS
from torchstat_cli.records import SUMMED, InputRecord, ModuleRecord, Profile, Provenance, Totals, UnknownOperator


def row(path: str, type: str = "Linear", kind: str = "leaf", **fields: Any) -> ModuleRecord:
    """A row; the numbers that are not given are 0, ``trainable_params`` are the params."""
    numbers = dict.fromkeys(SUMMED, 0) | {name: value for name, value in fields.items() if name in SUMMED}
    numbers["trainable_params"] = fields.get("trainable_params", numbers["params"])
    return ModuleRecord(
        path=path,
        type=type,
        kind=kind,  # type: ignore[arg-type]
        calls=1,
        input_shape=(),
        output_shape=(),
        dtype="float32",
        attrs=fields.get("attrs", {}),
        **numbers,
    )


def linear(path: str, inputs: int, outputs: int) -> ModuleRecord:
    """A linear layer with bias on one sample: i·o + o params, 2·i·o + o FLOPs, 4·o bytes out."""
    return row(
        path,
        params=inputs * outputs + outputs,
        madds=inputs * outputs,
        flops=2 * inputs * outputs + outputs,
        memory=4 * outputs,
        attrs={"in_features": inputs, "out_features": outputs},
    )


def profile(
    *rows: ModuleRecord,
    shape: tuple[int, ...] = (1, 8),
    mode: str = "eval",
    rules: int = 1,
    torch: str = "2.13.0+cpu",
    unknown: tuple[str, ...] = (),
    peak: int | None = None,
    source: str | None = "models.py:14",
) -> Profile:
    """A profile of ``rows``."""
    sums = {column: sum(getattr(each, column) for each in rows) for column in SUMMED}
    return Profile(
        provenance=Provenance(
            spec="models:tiny",
            resolved="models:tiny",
            class_name="Tiny",
            inputs=(InputRecord(None, shape, "float32"),),
            placement="meta",
            mode=mode,  # type: ignore[arg-type]
            assumptions=(),
            torch=torch,
            version="0.1.0",
            rules=rules,
            source=source,
        ),
        total=Totals(param_bytes=4 * sums["params"], buffer_bytes=0, peak=peak, lower_bound=bool(unknown), **sums),
        rows=rows,
        operators=(),
        unknown=tuple(UnknownOperator(name, 2, ("x",)) for name in unknown),
        never_called=(),
    )


def blocks(depth: int, width: int, hidden: int) -> tuple[ModuleRecord, ...]:
    """``depth`` blocks of two linears, as a transformer's feed-forward parts."""
    return tuple(
        layer
        for index in range(depth)
        for layer in (
            linear(f"blocks.{index}.mlp.0", width, hidden),
            linear(f"blocks.{index}.mlp.2", hidden, width),
        )
    )


def entry(name: str = "tiny", modules: dict[str, Any] | None = None, **limits: Any) -> ModelEntry:
    """A configured model with ``limits``, and nothing else."""
    rules = read_rules(limits, "[tool.modelstat]", METRICS)
    module_rules = {glob: read_rules(table, "modules", METRICS) for glob, table in (modules or {}).items()}
    return ModelEntry(name, "models:tiny", rules, module_rules=module_rules, origin=f"[tool.modelstat.models.{name}]")
