"""Verdicts for the reporters' tests: the reference case of a vision transformer whose feed-forward part is widened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.gate.profiles import entry, profile, row
from torchstat_cli.errors import ForwardError
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.gate.judge import failed_model, gone_model, judge_model, take_snapshot
from torchstat_cli.gate.verdict import ModelVerdict, Verdict
from torchstat_cli.records import ModuleRecord, Profile

DEPTH = 12


def vit(hidden: int = 768, **options: Any) -> Profile:
    """192 wide, 12 deep; matmuls only, everything else in one row, so that totals are the published ones."""
    tokens = 197
    layers: list[ModuleRecord] = []
    for block in range(DEPTH):
        for name, inputs, outputs in (("net.1", 192, hidden), ("net.4", hidden, 192)):
            layers.append(
                row(
                    f"transformer.layers.{block}.1.{name}",
                    params=inputs * outputs + outputs,
                    madds=tokens * inputs * outputs,
                    flops=2 * tokens * inputs * outputs,
                    memory=4 * tokens * outputs,
                    attrs={"in_features": inputs, "out_features": outputs},
                )
            )
    rest = row(
        "rest",
        "Everything",
        params=5_712_424 - 12 * (192 * 768 + 768 + 768 * 192 + 192),
        flops=2_507_366_400 - 24 * 2 * tokens * 192 * 768,
        madds=1_253_683_200 - 24 * tokens * 192 * 768,
        memory=51_116_224 - 12 * 4 * tokens * (768 + 192),
    )
    return profile(*layers, rest, shape=(1, 3, 224, 224), source="sample_models/vit.py:14", **options)


def resnet(**options: Any) -> Profile:
    """A model in one row, with ResNet-18's totals."""
    totals = row("all", "ResNet", params=11_689_512, madds=1_814_073_344, flops=3_628_146_688, memory=29_915_040)
    return profile(totals, shape=(1, 3, 224, 224), source="sample_models/resnet.py:20", **options)


VIT = replace(
    entry("vit_tiny", params="+1%", flops="+1%", memory="64 MiB"),
    message="Edge budget, see docs/edge.md before raising",
)
RESNET = entry("resnet18", params="+1%", flops="+1%")


def judged(model: ModelEntry, now: Profile, base: Profile | None = None, fork: Profile | None = None) -> ModelVerdict:
    """The verdict on one model; a fork makes it a run against a git ref, where ``base`` is the branch's own entry."""
    reference = base or fork
    committed = take_snapshot(model, reference) if reference else None
    at_fork = take_snapshot(model, fork) if fork else None
    return judge_model(model, now, committed, at_fork, against=fork is not None)


def run(*models: ModelVerdict, **options: Any) -> Verdict:
    """A verdict over judged models."""
    return Verdict(models, "sample_models/baseline.json", **options)


PASSING = judged(RESNET, resnet(), resnet())
FAILING = judged(VIT, vit(1024), vit())
BETTER = judged(VIT, vit(), vit(1024))
NEW = judged(RESNET, resnet())
PARTIAL = judged(RESNET, resnet(unknown=("my.op",)), resnet(unknown=("my.op",)))
INHERITED = judged(entry("resnet18", params="+1%", flops="3 G"), resnet(), fork=resnet())
ACCEPTED = judged(VIT, vit(1024), vit(1024), fork=vit())
STALE = judged(VIT, replace(vit(), provenance=replace(vit().provenance, rules=2)), vit())
ERROR = failed_model(
    entry("unet"), ForwardError("forward failed in 'up.2.conv' on input 1x64x57x57", "give other inputs")
)
GONE = gone_model("old")
EVERY_STATE = (PASSING, FAILING, BETTER, NEW, PARTIAL, INHERITED, STALE, ERROR, GONE)
