"""Models that torch.fx cannot trace: names and true values at run time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.activations.huggingface import import_transformers
from tests.activations.models import true_values
from tests.libraries import import_torchvision
from torchstat_cli.activations import create_feature_extractor, get_graph_node_names

pytestmark = pytest.mark.libraries


def resnet() -> tuple[nn.Module, dict[str, Any]]:
    transformers = import_transformers()
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic")
    return transformers.ResNetModel(config), {"pixel_values": torch.randn(1, 3, 32, 32)}


def swin() -> tuple[nn.Module, dict[str, Any]]:
    transformers = import_transformers()
    config = transformers.SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=2
    )
    return transformers.SwinModel(config), {"pixel_values": torch.randn(1, 3, 32, 32)}


def t5() -> tuple[nn.Module, dict[str, Any]]:
    transformers = import_transformers()
    config = transformers.T5Config(d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=2, vocab_size=50)
    tokens = torch.randint(1, 50, (2, 6))
    return transformers.T5Model(config), {"input_ids": tokens, "decoder_input_ids": tokens[:, :3], "use_cache": False}


def detector() -> tuple[nn.Module, dict[str, Any]]:
    torchvision = import_torchvision()
    model = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, min_size=64, max_size=64, num_classes=3
    )
    return model, {"images": [torch.rand(3, 60, 64), torch.rand(3, 64, 48)]}


@pytest.fixture
def compiled_operators(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand-ins for torchvision's compiled operators where its extension cannot be loaded."""
    torchvision = import_torchvision()
    if torchvision.extension._has_ops():
        yield
        return
    monkeypatch.setattr(torchvision.ops.boxes, "_assert_has_ops", lambda: None)
    monkeypatch.setitem(torchvision.ops.roi_align.__globals__, "_assert_has_ops", lambda: None)
    monkeypatch.setitem(torchvision.ops.roi_align.__globals__, "_has_ops", lambda: True)
    library = torch.library.Library("torchvision", "IMPL")
    library.impl("nms", lambda boxes, scores, threshold: scores.argsort(descending=True)[:50], "CPU")
    library.impl("roi_align", _zero_regions, "CPU")
    yield
    library._destroy()


def _zero_regions(
    features: Tensor, regions: Tensor, scale: float, height: int, width: int, ratio: int, aligned: bool
) -> Tensor:
    return features.new_zeros(len(regions), features.shape[1], height, width)


@pytest.mark.parametrize("build", [resnet, swin, t5, detector])
@pytest.mark.usefixtures("compiled_operators")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_names_and_true_values(build: Any) -> None:
    torch.manual_seed(0)
    model, inputs = build()
    model.eval()
    with warnings.catch_warnings():
        # Detection wants targets in training mode; that is said in a warning.
        warnings.filterwarnings("ignore", "the model does not run in training mode")
        warnings.filterwarnings("ignore", "The nodes obtained|NOTE: The nodes")
        names = get_graph_node_names(model, example_inputs=inputs)[1]
    torch.manual_seed(1)
    expected = true_values(model, **inputs)
    # torch's own modules are nodes, except inside torchvision's operators; all can be selected all the same.
    assert len(set(expected) & set(names)) > 5
    assert len(set(names) - set(expected)) >= 4  # operators and inputs
    extractor = create_feature_extractor(model, list(expected))
    assert extractor.engine == "hooks"
    torch.manual_seed(1)
    with torch.no_grad():
        features = extractor(**inputs)
    assert list(features) == list(expected)
    for name, value in expected.items():
        assert torch.equal(features[name], value), name


def test_operator_names_are_torchvisions_where_both_exist() -> None:
    torchvision = import_torchvision()
    model = torchvision.models.resnet18().eval()
    images = torch.randn(1, 3, 64, 64)
    graph = create_feature_extractor(model, ["op:*", "type:Module"])
    live = create_feature_extractor(model, ["op:*", "type:Module"], engine="runtime")
    with torch.no_grad():
        expected, features = graph(images), live(images)
    shared = expected.keys() & features.keys()
    assert {"layer1.0.add", "layer4.1.add", "flatten"} <= shared
    assert len([name for name in shared if ".add" in name]) == 8
    for name in shared:
        torch.testing.assert_close(features[name], expected[name], rtol=0, atol=1e-5)
