"""The remedy fits what failed: every text here is what torch, Python or einops says where that mistake is made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from torchstat_cli.loading import as_inputs
from torchstat_cli.loading.remedies import batch_remedy, device_remedy, forward_remedy

IMAGE = torch.ones(3, 32, 32)


class Calling(nn.Module):
    def __init__(self, body: Callable[[torch.Tensor], object], *layers: nn.Module) -> None:
        super().__init__()
        self.body, self.layers = body, nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> object:
        return self.body(self.layers(x))


def unpacking(x: torch.Tensor) -> object:
    _, channels, height, width = x.shape
    return channels * height * width


WITHOUT_BATCH: dict[str, tuple[nn.Module, torch.Tensor, str]] = {
    "norm": (nn.BatchNorm2d(3), IMAGE, "1,3,32,32"),
    "norm of any number of channels": (nn.BatchNorm2d(8), torch.ones(8, 9, 9), "1,8,9,9"),
    "norm of volumes": (nn.BatchNorm3d(3), torch.ones(3, 5, 5, 5), "1,3,5,5,5"),
    "norm of rows": (nn.BatchNorm1d(8), torch.ones(8), "1,8"),
    "flattened": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 5)),
        IMAGE,
        "1,3,32,32",
    ),
    "unpacked": (Calling(unpacking), IMAGE, "1,3,32,32"),
    "asked for a size": (Calling(lambda x: x.size(3)), IMAGE, "1,3,32,32"),
    "asked for a shape": (Calling(lambda x: x.shape[3]), IMAGE, "1,3,32,32"),
    "permuted": (Calling(lambda x: x.permute(0, 2, 3, 1)), IMAGE, "1,3,32,32"),
    "resized": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE, "1,3,32,32"),
    "tokens": (Calling(lambda x: x.permute(1, 0)), torch.ones(7, dtype=torch.int64), "1,7:int64"),
}


@pytest.mark.parametrize("name", WITHOUT_BATCH)
def test_a_missing_batch(name: str) -> None:
    model, given, shape = WITHOUT_BATCH[name]
    with pytest.raises(Exception) as caught:  # noqa: PT011  (torch and Python raise half a dozen kinds)
        model.eval()(given)
    assert batch_remedy(str(caught.value), as_inputs(given)) == f"write the batch too: --input {shape}"
    assert f"--input x={shape}" in forward_remedy(caught.value, as_inputs({"x": given}))


OTHER: dict[str, tuple[Callable[[torch.Tensor], object], torch.Tensor]] = {
    "an argument left out": (lambda x: None.sum(), torch.ones(1, 200, 80)),  # type: ignore[attr-defined]
    "features of another width": (nn.Linear(64, 8), torch.ones(1, 200, 80)),
    "channels of another number": (nn.Conv2d(3, 8, 3), torch.ones(4, 32, 32)),
    "a mask": (lambda x: x + torch.ones(1, 41, 42), torch.ones(1, 42, 42)),
    "a size too many": (nn.BatchNorm2d(3), torch.ones(1, 1, 3, 9, 9)),
    "a size two too few": (nn.BatchNorm2d(3), torch.ones(9, 9)),
    "an image without channels": (nn.Conv2d(3, 8, 3), torch.ones(9, 9)),
    "a whole batch": (nn.Linear(8, 8), torch.ones(1, 3, 32, 32)),
    "an assertion": (lambda x: [][1], IMAGE),
}


@pytest.mark.parametrize("name", OTHER)
def test_no_batch_is_missing(name: str) -> None:
    model, given = OTHER[name]
    with pytest.raises(Exception) as caught:  # noqa: PT011
        model(given)
    assert batch_remedy(str(caught.value), as_inputs(given)) is None
    assert "--debug" in forward_remedy(caught.value, as_inputs(given))


def test_einops_is_understood() -> None:
    text = "Wrong shape: expected 4 dims. Received 3-dim tensor."
    assert batch_remedy(text, as_inputs(IMAGE)) == "write the batch too: --input 1,3,32,32"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")
@pytest.mark.parametrize(
    "body",
    [
        lambda x: x.cuda(),
        lambda x: x.to("cuda"),
        lambda x: torch.zeros(3, device="cuda:0"),
        lambda x: torch.cuda.init(),
    ],
)
def test_an_accelerator_that_is_not_there(body: Callable[[torch.Tensor], object]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        body(IMAGE)
    assert "leave .cuda()" in forward_remedy(caught.value, as_inputs(IMAGE))


@pytest.mark.parametrize(
    "text",
    [
        "Torch not compiled with CUDA enabled",
        "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
        "No CUDA GPUs are available",
        "CUDA error: invalid device ordinal",
        "PyTorch is not linked with support for mps devices",
    ],
)
def test_what_torch_says_of_missing_accelerators(text: str) -> None:
    assert "--device says where it runs" in (device_remedy(RuntimeError(text), "factory") or "")
    assert device_remedy(RuntimeError("CUDA error: an illegal memory access"), "forward") is None
