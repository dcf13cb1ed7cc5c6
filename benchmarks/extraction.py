"""What extraction costs, as ratios of CPU time to the plain forward pass of the same model and inputs.

    python benchmarks/extraction.py

One thread, process CPU time (wall time means little on a shared machine), the least of several interleaved runs.
TorchLens appears in the table where it is installed. Exits with 1 if a promised ratio is missed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.libraries import import_timm, import_torchvision
from torchstat_cli.activations import KeepOptions, ObserveOptions, create_feature_extractor, observe

ROUNDS = 15


@dataclass(frozen=True)
class Case:
    """One way of running a model."""

    name: str
    run: Callable[[], Any]
    limit: float | None = None  # promised ratio to the plain forward


def measure(cases: list[Case]) -> list[tuple[Case, float]]:
    """Each case's least CPU seconds; rounds are interleaved, so that a busy moment hits all alike."""
    least = dict.fromkeys((case.name for case in cases), float("inf"))
    for round_number in range(ROUNDS + 1):
        for case in cases:
            started = time.process_time()
            case.run()
            if round_number:  # the first round warms up
                least[case.name] = min(least[case.name], time.process_time() - started)
    return [(case, least[case.name]) for case in cases]


def vit_cases() -> list[Case]:
    """Everything inside timm's vit_tiny, batch 8."""
    model: nn.Module = import_timm().create_model("vit_tiny_patch16_224").eval()
    images = torch.randn(8, 3, 224, 224)
    modules = create_feature_extractor(model, ["*"], engine="hooks")
    quick = ObserveOptions(engine="runtime", keep=KeepOptions(audit=False))

    def operators() -> None:
        with observe(model, ["type:Module", "op:*"], quick):
            model(images)

    def attention() -> None:
        with observe(model, ["attn"], quick):
            model(images)

    cases = [
        Case("vit_tiny batch 8: plain forward", lambda: model(images)),
        Case("vit_tiny batch 8: every module output", lambda: modules(images), 1.2),
        Case("vit_tiny batch 8: every operator and module output", operators, 2.0),
        Case("vit_tiny batch 8: 12 attention maps", attention),
    ]
    if importlib.util.find_spec("torchlens") is not None:
        torchlens = importlib.import_module("torchlens")
        log = torchlens.trace if hasattr(torchlens, "trace") else torchlens.log_forward_pass
        cases.append(Case("vit_tiny batch 8: TorchLens, every output", lambda: log(model, images)))
    return cases


def resnet_cases() -> list[Case]:
    """One early stage of resnet18."""
    model: nn.Module = import_torchvision().models.resnet18().eval()
    images = torch.randn(4, 3, 224, 224)
    graph = create_feature_extractor(model, ["layer2"])
    hooks = create_feature_extractor(model, ["layer2"], engine="hooks")
    return [
        Case("resnet18 batch 4: plain forward", lambda: model(images)),
        Case("resnet18 batch 4: only layer2, graph", lambda: graph(images), 0.6),
        Case("resnet18 batch 4: only layer2, hooks", lambda: hooks(images), 0.6),
    ]


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    torch.set_num_threads(1)
    broken = 0
    for cases in (vit_cases(), resnet_cases()):
        with torch.no_grad():
            results = measure(cases)
        plain = results[0][1]
        for case, seconds in results:
            promise = "" if case.limit is None else f"   promised <= {case.limit:g}"
            broken += case.limit is not None and seconds / plain > case.limit
            print(f"{case.name:52} {seconds * 1e3:9.1f} ms {seconds / plain:7.2f} x{promise}")
    return int(broken > 0)


if __name__ == "__main__":
    raise SystemExit(main())
