"""The attention backend of a run: chosen, simulated, told, and put back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.errors import ForwardError


class Attend(nn.Module):
    """Attention of a learned projection; options go to torch's function."""

    def __init__(self, dtype: torch.dtype = torch.bfloat16, **options: Any) -> None:
        super().__init__()
        self.inward = nn.Linear(64, 192, bias=False, dtype=dtype)
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.view(1, x.shape[1], 4, 16).transpose(1, 2) for t in self.inward(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, **self.options)


def profiled(backend: str, model: nn.Module | None = None, **options: Any) -> ms.Report:
    model = model or Attend()
    x = torch.zeros(1, 256, 64, dtype=next(model.parameters()).dtype)
    return ms.profile(model, x, attention=backend, memory=True, **options)


def test_only_math_keeps_the_matrix_of_scores() -> None:
    peaks = {
        backend: profiled(backend, train=True).total.peak or 0 for backend in ("math", "flash", "efficient", "auto")
    }
    scores = 4 * 256 * 256 * 2  # bytes, bfloat16
    assert peaks["math"] - peaks["flash"] > scores
    assert abs(peaks["efficient"] - peaks["flash"]) < scores / 4
    assert abs(peaks["auto"] - peaks["flash"]) < scores / 4  # the CPU has a flash kernel too


class Shared(nn.Module):
    """Eight heads of queries, two of keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.zeros(1, 2, 256, 64, dtype=torch.bfloat16))

    def forward(self, queries: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(queries, self.keys, self.keys, enable_gqa=True)


def test_flash_does_not_repeat_the_keys_of_shared_heads() -> None:
    queries = torch.zeros(1, 8, 256, 64, dtype=torch.bfloat16)
    report = ms.profile(Shared(), queries, attention="flash", memory=True)
    head, sums = 256 * 64 * 2, 8 * 256 * 4  # bytes; the log of every row's sum is kept in float32
    assert 0 <= (report.total.peak or 0) - ((2 + 8 + 8) * head + sums) <= 64  # the state of the random numbers


def test_inference_with_a_chosen_backend_runs_its_operator() -> None:
    names = {operator.op for operator in profiled("flash").operators}
    assert "aten._scaled_dot_product_flash_attention" in names
    assert "aten.scaled_dot_product_attention" in {operator.op for operator in profiled("auto").operators}
    madds = {profiled(backend).total.madds for backend in ("auto", "math", "flash", "efficient")}
    assert len(madds) == 1


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Attend(torch.float32), "flash (efficient in 1 of 1 calls)"),  # flash kernels take half precision alone
        (Attend(attn_mask=torch.zeros(256, 256, dtype=torch.bfloat16)), "flash (efficient in 1 of 1 calls)"),
        (Attend(attn_mask=torch.ones(256, 256, dtype=torch.bool)), "flash (efficient in 1 of 1 calls)"),
        (Attend(is_causal=True), "flash"),
    ],
)
def test_what_flash_cannot_do_falls_to_the_next(model: nn.Module, told: str) -> None:
    report = profiled("flash", model)
    assert report.provenance.attention == told
    assert f"attention {told}" in str(report)
    assert report.to_json().count(told) >= 1


def test_dropout_makes_the_cpu_take_the_plain_form() -> None:
    plain, dropping = profiled("auto", train=True), profiled("auto", Attend(dropout_p=0.1), train=True)
    assert (dropping.total.peak or 0) > 1.5 * (plain.total.peak or 0)


def test_multihead_attention_is_reached_and_everything_is_put_back() -> None:
    original = F.scaled_dot_product_attention
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, dtype=torch.bfloat16)
    names = {operator.op for operator in profiled("efficient", layer).operators}
    assert "aten._scaled_dot_product_efficient_attention" in names
    assert F.scaled_dot_product_attention is original


def test_a_real_device_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ForwardError, match=r"No (available kernel|viable backend)"):
        profiled("efficient", device="cpu")
