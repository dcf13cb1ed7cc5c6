"""Over whole models, the memo's every answer is torch's: shape, stride, dtype, offset, and who shares memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sample_models
from tests.capture.answers import CheckingMemo
from tests.libraries import import_torchvision
from torchstat_cli.calculators import user_registry
from torchstat_cli.capture.run import RunOptions, record_run
from torchstat_cli.errors import ForwardError
from torchstat_cli.loading import default_inputs, find_model

SIZES = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "googlenet": 64,
    "inception_v3": 96,
    "maxvit_t": 224,
    "mnasnet0_5": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnext50_32x4d": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 64,
    "swin_t": 64,
    "swin_v2_t": 64,
    "vgg11_bn": 32,
    "vit_b_32": 224,
}
"""One torchvision classification model per family, with the side of a small picture that it takes."""


@pytest.fixture(scope="module")
def memo() -> CheckingMemo:
    """Shared by all models, so that later ones are answered from what earlier ones left."""
    return CheckingMemo()


def check(memo: CheckingMemo, model: nn.Module, *args: object, training: bool = False, **kwargs: object) -> None:
    memo.checked, memo.differences = 0, []
    options = RunOptions(on_meta=True, train_mode=training, assume=True, memo=memo)
    record_run(model, args, kwargs, user_registry().knows, options)
    assert memo.checked > 0
    assert memo.differences == []


@pytest.mark.parametrize("name", sorted(set(sample_models.CATALOG) - {"raises_in_init"}))
@pytest.mark.parametrize("training", [False, True])
def test_sample_model(memo: CheckingMemo, name: str, training: bool) -> None:
    source = find_model(sample_models.CATALOG[name])
    inputs = default_inputs(source, device="cpu", dtype=torch.float32)
    assert inputs is not None
    try:
        check(memo, source.build(), *inputs.args, training=training, **inputs.kwargs)
    except ForwardError:
        assert name in ("raises_mid_forward", "needs_another_shape")


@pytest.mark.parametrize("name", sorted(SIZES))
def test_torchvision_model(memo: CheckingMemo, name: str) -> None:
    torchvision = import_torchvision()
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if name == "regnet_y_400mf" else "meta"):  # whose initialisation asks for values
        model = torchvision.models.get_model(name, **options)
    check(memo, model, torch.empty(2, 3, SIZES[name], SIZES[name], device="meta"))


def test_checking_memo_sees_a_difference() -> None:
    """The check itself can fail: a memo that answers wrongly is found out."""
    checking = CheckingMemo()
    tensor = torch.empty(2, 3, device="meta")
    with torch.inference_mode():
        checking.call(torch.ops.aten.exp2.default, (tensor,), {})
        entry = next(iter(checking._entries.values()))
        object.__setattr__(entry.plan, "stride", (1, 2))
        checking.call(torch.ops.aten.exp2.default, (tensor,), {})
    assert len(checking.differences) == 1
