"""Without memory or for real, a model costs the same: every total and every operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.coverage.test_no_unknown import CONFIGURATIONS
from tests.libraries import import_timm, import_torchvision
from torchstat_cli.loading import find_model
from torchstat_cli.records import Profile
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.settings import Settings

pytestmark = pytest.mark.libraries

TIMM = ["test_vit", "test_resnet", "test_byobnet", "test_nfnet", "test_mambaout"]
TORCHVISION = ["mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "regnet_y_400mf"]

# A model may ask where its tensors lie, or what no meta tensor can answer, and then do something else.
OTHERWISE = {
    **dict.fromkeys(
        ("mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v3", "gpt_oss", "olmoe", "granitemoe", "jamba"),
        "counts tokens per expert in floats on the CPU, in integers elsewhere",
    ),
    **dict.fromkeys(("longformer", "vit_mae"), "writes a number to a slice: a fill on the CPU, elsewhere a copy of it"),
    "switch_transformers": "names its experts by values that only real tensors have, so meta runs are refused",
    "siglip2": "sends a tensor of another dtype to the device: one copy on the CPU, two elsewhere",
    "llava": "reads a tensor's numbers one time more where it has any",
}


def _work(profile: Profile) -> dict[str, Any]:
    total = {name: getattr(profile.total, name) for name in ("params", "buffers", "madds", "flops", "memory")}
    traffic = profile.total.mem_read, profile.total.mem_write
    # Making a tensor of a Python number is free, and not every way to make one is seen.
    operators = {entry.op: entry for entry in profile.operators if entry.op != "aten.lift_fresh"}
    return {**total, "traffic": traffic, "operators": operators}


def _check(spec: str) -> None:
    without_memory, _ = profile_spec(find_model(spec), None, Settings(device="meta"))
    for_real, _ = profile_spec(find_model(spec), None, Settings(device="cpu"))
    assert without_memory.provenance.placement.startswith("meta")
    assert for_real.provenance.placement == "cpu"
    assert _work(without_memory) == _work(for_real)


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    import_timm()
    _check(f"timm/{name}")


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    import_torchvision()
    _check(f"torchvision/{name}")


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if name not in OTHERWISE])
def test_transformers(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    import_torchvision()
    if name == "falcon" and not torch.__version__.startswith("2.13."):
        pytest.xfail("beside torch 2.14 and transformers 5.24 its reshapes copy on meta alone: docs/versions.md")
    (tmp_path / "config.json").write_text(json.dumps(CONFIGURATIONS[name]), encoding="utf-8")
    _check(f"hf/{tmp_path}")
