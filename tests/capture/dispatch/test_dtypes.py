"""A dtype that a real kernel refuses is refused on meta as well, in the module that got it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.errors import ForwardError

WRONG: dict[str, tuple[Callable[..., Tensor], list[tuple[tuple[int, ...], torch.dtype]]]] = {
    "convolution": (F.conv2d, [((1, 3, 8, 8), torch.int64), ((4, 3, 3, 3), torch.float32)]),
    "transposed": (F.conv_transpose2d, [((1, 3, 8, 8), torch.float16), ((3, 4, 3, 3), torch.float32)]),
    "linear": (F.linear, [((2, 3), torch.int64), ((4, 3), torch.float32)]),
    "product": (torch.matmul, [((2, 3), torch.float16), ((3, 4), torch.float32)]),
    "softmax": (lambda x: F.gelu(x), [((4,), torch.int64)]),
    "resize": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [((1, 3, 8, 8), torch.int64)]),
}


class Call(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.function(*tensors)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("memo", [True, False])
def test_refused_as_on_the_cpu(name: str, memo: bool) -> None:
    function, specs = WRONG[name]
    tensors = [torch.zeros(shape, dtype=dtype) for shape, dtype in specs]
    with pytest.raises((RuntimeError, NotImplementedError)):
        function(*tensors)
    with pytest.raises(ForwardError, match="dtype"):
        ms.profile(Call(function), *tensors, device="meta", memo=memo)


def test_right_dtypes_pass() -> None:
    assert ms.profile(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)).total.madds == 4 * 6 * 6 * 27
