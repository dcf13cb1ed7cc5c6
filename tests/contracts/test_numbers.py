"""What holds of every report: columns sum to totals, params are the model's, meta equals CPU, a rerun the first run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import nn

import sample_models
import torchstat_cli as ms
from torchstat_cli.records import SUMMED, Profile

RUNNABLE = sorted(set(sample_models.CATALOG) - {"raises_in_init", "raises_mid_forward", "needs_another_shape"})


def numbers(report: Profile) -> dict[str, Any]:
    """Everything that may not depend on where a model ran."""
    return {
        "total": asdict(report.total),
        "rows": [row._replace(attrs={})._asdict() for row in report.rows],
        "operators": {operator.op: asdict(operator) for operator in report.operators},
        "unknown": report.unknown,
    }


@pytest.fixture(scope="module", params=RUNNABLE)
def report(request: pytest.FixtureRequest) -> ms.Report:
    return ms.profile(sample_models.CATALOG[request.param])


def test_rows_sum_to_totals(report: ms.Report) -> None:
    for column in SUMMED:
        assert sum(getattr(row, column) for row in report.rows) == getattr(report.total, column), column
    for column in ("madds", "flops", "mem_read", "mem_write"):
        assert sum(getattr(operator, column) for operator in report.operators) == getattr(report.total, column), column


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_folded_rows_sum_to_totals(report: ms.Report, depth: int) -> None:
    folded = report.folded(depth)
    assert all(row.path.count(".") < max(depth, 1) for row in folded.rows)
    for column in SUMMED:
        assert sum(getattr(row, column) for row in folded.rows) == getattr(report.total, column), column


def test_numbers_are_ints(report: ms.Report) -> None:
    for row in report.rows:
        assert all(type(getattr(row, column)) is int for column in SUMMED)


def test_nothing_is_unknown_and_flops_cover_madds(report: ms.Report) -> None:
    assert report.unknown == ()
    assert not report.total.lower_bound
    for part in (report.total, *report.rows, *report.operators):
        assert part.flops >= 2 * part.madds


def test_params_are_the_models_own(report: ms.Report) -> None:
    model = ms.load_model(str(report.provenance.spec))
    assert report.total.params == sum(parameter.numel() for parameter in model.parameters())
    assert report.total.trainable_params == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert report.total.buffers == sum(buffer.numel() for buffer in model.buffers())
    assert report.total.param_bytes == sum(p.numel() * p.element_size() for p in model.parameters())


def test_meta_equals_cpu(report: ms.Report) -> None:
    assert numbers(ms.profile(str(report.provenance.spec), device="cpu")) == numbers(report)


def test_second_run_equals_first_and_memo_changes_nothing(report: ms.Report) -> None:
    spec = str(report.provenance.spec)
    assert numbers(ms.profile(spec)) == numbers(report)
    assert numbers(ms.profile(spec, memo=False)) == numbers(report)


def test_live_model_equals_its_spec() -> None:
    spec = "sample_models.resnet:resnet18"
    live = ms.profile(ms.load_model(spec), torch.randn(1, 3, 224, 224))
    assert numbers(live) == numbers(ms.profile(spec))


def test_other_hooks_change_nothing() -> None:
    plain = ms.load_model("sample_models.transformer:transformer_encoder")
    hooked = ms.load_model("sample_models.transformer:transformer_encoder")
    for module in hooked.modules():
        module.register_forward_hook(lambda module, args, output: None)
        module.register_forward_pre_hook(lambda module, args: None)
    inputs = ms.profile("sample_models.transformer:transformer_encoder").provenance.inputs
    shape = inputs[0].shape
    dtype = getattr(torch, inputs[0].dtype)
    values = torch.zeros(shape, dtype=dtype)
    assert numbers(ms.profile(hooked, values)) == numbers(ms.profile(plain, values))


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("hooked", [False, True])
def test_transformer_layer_counts_the_same_everywhere(device: str, mode: Any, hooked: bool) -> None:
    """8,978,432 MAdds by hand: 32 tokens, width 64, feed-forward 2048.

    Projections 4 * 32 * 64 * 64 = 524,288; scores and values 2 * (2 * 16 * 16 * 64) = 65,536;
    feed-forward 2 * 32 * 64 * 2048 = 8,388,608.
    """
    layer = nn.TransformerEncoderLayer(64, 4, dropout=0.1, batch_first=True)
    if hooked:
        for module in layer.modules():
            module.register_forward_hook(lambda module, args, output: None)
    report = ms.profile(layer, torch.zeros(2, 16, 64), device=device, mode=mode)
    assert report.total.madds == 8_978_432


def test_resnet18_published_numbers() -> None:
    report = ms.profile("sample_models.resnet:resnet18", input_shape=(1, 3, 224, 224))
    assert report.total.params == 11_689_512
    assert report.total.madds == 1_814_073_344
