"""The attention backend of a run: chosen, simulated, told, and put back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.capture.emulation.attention_backend import attention_backend


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
    # The CPU has a flash kernel too: for 2 threads, blocks of 64 rows of scores and of their gradients, in float32.
    assert abs(peaks["auto"] - peaks["flash"] - 2 * 2 * 64 * 256 * 4) < scores / 4


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


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backend", ["math", "flash", "efficient"])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=["plain", "causal"])
def test_a_backend_holds_on_every_placement(
    backend: str, dtype: torch.dtype, train: bool, options: dict[str, Any]
) -> None:
    on_meta, on_cpu = (
        profiled(backend, Attend(dtype, **options), device=device, train=train) for device in ("meta", "cpu")
    )
    assert on_cpu.total == on_meta.total
    assert on_cpu.provenance.attention == on_meta.provenance.attention
    assert on_cpu.memory is not None
    assert on_cpu.memory.measured is None  # this machine has other kernels


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("backend", ["flash", "efficient"])
def test_a_simulated_kernel_gives_the_values_and_gradients_of_the_plain_form(backend: str, causal: bool) -> None:
    dtype = torch.bfloat16 if backend == "flash" else torch.float32
    tensors = [torch.randn(2, 3, size, 16, dtype=dtype, requires_grad=True) for size in (20, 20, 20)]
    expected = F.scaled_dot_product_attention(*tensors, is_causal=causal)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), tensors)
    with attention_backend(backend, "cpu", trains=True) as choice:
        found = F.scaled_dot_product_attention(*tensors, is_causal=causal)
        gradients = torch.autograd.grad((found * weights).sum(), tensors)
    assert choice.words == backend
    tolerance = 0.05 if backend == "flash" else 1e-4
    for one, other in zip((found, *gradients), (expected, *wanted), strict=True):
        assert torch.allclose(one.float(), other.float(), atol=tolerance, rtol=tolerance)
    with pytest.raises(NotImplementedError):
        torch.ops.aten._scaled_dot_product_flash_attention(*tensors)  # the CPU has lost it again


class Choosing(nn.Module):
    """Asks for a value, and so runs for real."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = Attend(torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        attended = self.attend(x)
        return attended if attended.sum() > 0 else 2 * attended


def test_a_run_that_lands_on_the_cpu_by_itself_keeps_its_backend() -> None:
    peaks = {backend: profiled(backend, Choosing()) for backend in ("math", "efficient")}
    assert {report.provenance.placement for report in peaks.values()} == {"cpu"}
    scores = 4 * 256 * 256 * 4  # bytes, float32
    assert (peaks["math"].total.peak or 0) - (peaks["efficient"].total.peak or 0) > scores
