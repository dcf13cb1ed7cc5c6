"""Quantised models count the MAdds of their floating originals, by every library that makes them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from tests.libraries import import_torchvision

MADDS = 4 * (64 * 128 + 128 * 32)
X = torch.ones(4, 64)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """torch.ao says of itself that it will move to torchao."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32)).eval()


class Staged(nn.Module):
    """A 3x3 convolution of 3 to 8 channels on 6x6 places, and a linear layer, between quantisation's stubs."""

    def __init__(self) -> None:
        super().__init__()
        self.quantise = torch.ao.quantization.QuantStub()
        self.convolution, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8 * 6 * 6, 10)
        self.dequantise = torch.ao.quantization.DeQuantStub()

    def forward(self, x: Tensor) -> Any:
        return self.dequantise(self.head(self.convolution(self.quantise(x)).flatten(1)))


def _engine() -> str:
    engines = [
        engine for engine in ("x86", "fbgemm", "qnnpack") if engine in torch.backends.quantized.supported_engines
    ]
    if not engines:
        pytest.skip("this torch has no quantised kernels")
    return engines[0]


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_dynamic(device: str) -> None:
    _engine()
    model = torch.ao.quantization.quantize_dynamic(network(), {nn.Linear}, torch.qint8)
    report = ms.profile(model, X, device=device)
    assert (report.total.madds, report.unknown) == (MADDS, ())
    assert report.total.params == sum(parameter.numel() for parameter in model.parameters()) == 0
    assert report.provenance.assumptions == (
        "the weights of 2 modules are packed, neither parameters nor buffers, and params does not count them",
    )


def test_static() -> None:
    engine = _engine()
    model, image = Staged().eval(), torch.ones(1, 3, 8, 8)
    model.qconfig = torch.ao.quantization.get_default_qconfig(engine)
    torch.ao.quantization.prepare(model, inplace=True)
    model(image)
    torch.ao.quantization.convert(model, inplace=True)
    report = ms.profile(model, image)
    assert (report.total.madds, report.unknown) == (6 * 6 * 8 * 27 + 288 * 10, ())


def test_torchvision_quantised() -> None:
    _engine()
    import_torchvision()
    report = ms.profile("torchvision/quantized_resnet18")
    for_real = ms.profile(ms.load_model("torchvision/quantized_resnet18", quantize=True), torch.ones(1, 3, 224, 224))
    assert report.total.madds == for_real.total.madds == 1_814_073_344
    assert for_real.unknown == ()


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("kind", ["Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig"])
def test_torchao(kind: str, device: str) -> None:
    pytest.importorskip("torchao")
    torchao = importlib.import_module("torchao.quantization")
    model = network()
    torchao.quantize_(model, getattr(torchao, kind)())
    report = ms.profile(model, X, device=device)
    assert (report.total.madds, report.unknown) == (MADDS, ())
    assert report.total.params == sum(parameter.numel() for parameter in model.parameters())
    # One byte a weight; the biases, one scale for each output in float32; at most as much again for zero points.
    least = 64 * 128 + 128 * 32 + 2 * 4 * (128 + 32)
    assert least <= report.total.param_bytes <= least + 4 * (128 + 32)
