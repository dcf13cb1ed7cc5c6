"""The texts of the four tools that these extractors descend from: their code runs with only the import changed.

Two texts hold code or signatures, which stand here as they are there; two only describe classes, whose use as their own
projects show it stands here instead. Where a text is wrong, docs/extraction.md says so.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.libraries import import_torchvision
from torchstat_cli import IntermediateExtractor, IntermediateExtractorBase

# The text on feature extraction: its two blocks, with the first's third import line changed.

USAGE = """
import torch
import torchvision.models as models
from torchstat_cli import create_feature_extractor, get_graph_node_names

# Load a pre-trained model
model = models.resnet18(pretrained=True)

# Inspect available node names
train_nodes, eval_nodes = get_graph_node_names(model)

# Define which nodes to extract features from
return_nodes = {
    'layer1.0.relu': 'layer1_relu',
    'layer2.0.relu': 'layer2_relu',
    'layer3.0.relu': 'layer3_relu',
    'layer4.0.relu': 'layer4_relu'
}

# Create the feature extractor
feature_extractor = create_feature_extractor(model, return_nodes=return_nodes)

# Use the feature extractor
input_tensor = torch.randn(1, 3, 224, 224)
features = feature_extractor(input_tensor)

# Access extracted features
print(features['layer1_relu'].shape)
print(features['layer2_relu'].shape)
"""

LEAVES = """
tracer_kwargs = {'leaf_modules': [torch.nn.ReLU]}
feature_extractor = create_feature_extractor(
    model,
    return_nodes=return_nodes,
    tracer_kwargs=tracer_kwargs
)
"""


@pytest.fixture
def without_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretrained weights are random ones, not fetched."""
    torchvision = import_torchvision()
    random_state = torchvision.models.resnet18().state_dict()
    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", lambda *_, **__: random_state)


@pytest.mark.libraries
@pytest.mark.usefixtures("without_downloads")
@pytest.mark.filterwarnings(
    "ignore:The parameter 'pretrained' is deprecated", "ignore:Arguments other than a weight enum"
)
class TestFeatureExtraction:
    def test_the_usage_example(self, capsys: pytest.CaptureFixture[str]) -> None:
        names: dict[str, Any] = {}
        exec(USAGE, names)
        assert capsys.readouterr().out == "torch.Size([1, 64, 56, 56])\ntorch.Size([1, 128, 28, 28])\n"
        model, features = names["model"], names["features"]
        assert list(features) == list(
            names["return_nodes"].values()
        )  # and not the model's own output, as the text says
        assert len(names["train_nodes"]) == len(names["eval_nodes"]) == 70
        # layer1.0.relu is the first of that block's two, not what the block returns.
        model.train()
        block = model.layer1[0]
        entry = model.maxpool(model.relu(model.bn1(model.conv1(names["input_tensor"]))))
        torch.testing.assert_close(features["layer1_relu"], block.bn1(block.conv1(entry)).relu())

    def test_the_leaf_modules_change_nothing(self) -> None:
        names: dict[str, Any] = {}
        exec(USAGE + LEAVES, names)
        names["model"].eval()
        extractor = names["feature_extractor"].eval()
        plain = ms.create_feature_extractor(names["model"], return_nodes=names["return_nodes"])
        image = names["input_tensor"]
        assert all(torch.equal(value, plain(image)[key]) for key, value in extractor(image).items())
        assert names["tracer_kwargs"] == {"leaf_modules": [nn.ReLU]}


def test_the_functions_take_the_arguments_of_the_text() -> None:
    creating = "model, return_nodes=None, train_return_nodes=None, eval_return_nodes=None, tracer_kwargs=None"
    assert _signature(ms.create_feature_extractor).startswith(creating)
    assert _signature(ms.get_graph_node_names).startswith("model, tracer_kwargs=None")


# The text on activation-extractor: signatures.


def _signature(function: Any) -> str:
    """The arguments as documentation writes them; what ours take by name only, they take besides."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return ", ".join(str(parameter) for parameter in plain).replace("('LT', 'FT')", "['LT', 'FT']")


SIGNATURES = {
    IntermediateExtractorBase: "model, layer_list",
    IntermediateExtractorBase.clear_all_hooks: "self",
    IntermediateExtractorBase.create_hook: "self, layer_name",
    IntermediateExtractorBase.detach_hooks: "self",
    IntermediateExtractorBase.get_outputs: "self",
    IntermediateExtractorBase.register_hooks: "self",
    IntermediateExtractor: "model, layer_list",
    IntermediateExtractor.emb_reformatting: (
        "self, outputs, emb_format='full', sequence_axis=1, custom_position=None"
    ),
    IntermediateExtractor.gpu_to_cpu: "self",
    IntermediateExtractor.save_outputs: (
        "self, output_folder, output_id, reset=False, move_to_cpu=True, save_method='numpy_compressed', "
        "emb_formats=['LT', 'FT'], sequence_axis=1, custom_position=None"
    ),
}  # fmt: skip


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_activation_extractors_signatures(function: Any) -> None:
    assert _signature(function) == SIGNATURES[function]


def test_activation_extractors_methods_in_turn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 3)).eval()
    extractor = IntermediateExtractor(model, ["0", "1"])
    extractor.register_hooks()
    output = model(torch.arange(6).reshape(2, 3))
    assert torch.equal(extractor.get_outputs()["1"], output)
    extractor.save_outputs(str(tmp_path), "batch", emb_formats=["full", "mean", "LT", "FT"])
    assert isinstance(extractor.get_outputs()["1"], np.ndarray)
    expected = output.detach().numpy()
    pooled = {"full": expected, "mean": expected.mean(1), "LT": expected[:, -1], "FT": expected[:, 0]}
    for emb_format, array in pooled.items():
        with np.load(tmp_path / emb_format / "batch" / "1.npz") as file:
            np.testing.assert_array_equal(file["arr_0"], array)
            again = extractor.emb_reformatting(extractor.get_outputs()["1"], emb_format)
            np.testing.assert_array_equal(again, array)
    extractor.detach_hooks()
    extractor.clear_all_hooks()
    assert not any(module._forward_hooks for module in model.modules())


# The text on vit-pytorch's Extractor and Recorder has no code; this is how that project's own page uses them.

VIT = """
import torch
from vit_pytorch.vit import ViT

v = ViT(
    image_size = 64,
    patch_size = 32,
    num_classes = 10,
    dim = 32,
    depth = 2,
    heads = 4,
    mlp_dim = 64
)
"""

RECORDER = """
from torchstat_cli import Recorder
v = Recorder(v)

img = torch.randn(1, 3, 64, 64)
preds, attns = v(img)

v = v.eject()
"""

EXTRACTOR = """
from torchstat_cli import Extractor
v = Extractor(v)

img = torch.randn(1, 3, 64, 64)
logits, embeddings = v(img)
"""


@pytest.mark.libraries
class TestVitPytorch:
    @pytest.fixture
    def names(self) -> dict[str, Any]:
        import_torchvision()
        pytest.importorskip("vit_pytorch")
        names: dict[str, Any] = {}
        exec(VIT, names)
        return names

    def test_recorder(self, names: dict[str, Any]) -> None:
        exec(RECORDER, names)
        assert names["attns"].shape == (1, 2, 4, 5, 5)
        assert type(names["v"]).__name__ == "ViT"

    def test_extractor(self, names: dict[str, Any]) -> None:
        exec(EXTRACTOR, names)
        assert names["logits"].shape == (1, 10)
        assert names["embeddings"].shape == (1, 5, 32)


# The text on torchstat's instrumentation has no code; what it gathered about each leaf, a report has.


def test_torchstats_facts_of_a_leaf() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    keys = list(model.state_dict())
    report = ms.stat(model, (3, 8, 8))
    convolution = report.rows[0]
    assert (convolution.input_shape, convolution.output_shape) == (((1, 3, 8, 8),), ((1, 4, 6, 6),))
    assert convolution.params == 4 * 3 * 3 * 3 + 4
    # torchstat's Flops, 4032, are ours without the bias; its MAdd, 7776, are 27 products and 26 + 1 sums per element.
    assert convolution.madds == 27 * 4 * 6 * 6 == 4032 - 144
    assert convolution.flops == 2 * 27 * 144 + 144 == 7776 + 144
    assert (convolution.mem_read, convolution.mem_write) == (1216, 576)
    assert convolution.memory == 0.00054931640625 * 2**20
    assert [row.path for row in report.rows] == ["0", "1", "2", "3"]
    assert list(model.state_dict()) == keys
    assert model.training
