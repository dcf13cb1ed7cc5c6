"""Outputs that are no plain tensors: ordinary objects, quantized and sparse tensors, maps; exported extractors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from torchstat_cli.activations import Extractor, IntermediateExtractor, create_feature_extractor, observe
from torchstat_cli.errors import SelectionError

X = torch.linspace(-1, 1, 12).reshape(4, 3)


class Box:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Slotted:
    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Boxing(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.linear, self.kind = nn.Linear(3, 3), kind

    def forward(self, x: Tensor) -> Any:
        return self.kind(self.linear(x))


class Model(nn.Module):
    """Overwrites, in place, what its first module returned in an object."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.box, self.relu, self.head = Boxing(kind), nn.ReLU(inplace=True), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.box(x).tensor))


@pytest.mark.parametrize("kind", [Box, Slotted])
@pytest.mark.parametrize("gradients", [True, False])
def test_an_objects_tensors_are_kept_as_they_were(kind: Any, gradients: bool) -> None:
    model = Model(kind)
    expected = model.box.linear(X).detach()
    with torch.set_grad_enabled(gradients), observe(model, ["box", "box.linear"]) as observation:
        model(X)
    assert type(observation["box"]) is kind
    assert torch.equal(observation["box"].tensor, expected)
    assert not observation["box"].tensor.requires_grad
    assert "box.linear" in observation.report.overwritten


def test_extractors_copy_objects_too() -> None:
    model = Model(Box)
    expected = model.box.linear(X).detach()
    latents = Extractor(model, layer_name="box")(X)[1]
    assert torch.equal(latents.tensor, expected)
    extractor = IntermediateExtractor(model, ["box"])
    with extractor:
        model(X)
    assert torch.equal(extractor.get_outputs()["box"].tensor, expected)
    extractor.gpu_to_cpu()
    np.testing.assert_array_equal(extractor.get_outputs()["box"], expected.numpy())


def test_the_gradient_of_an_object_arrives_in_one() -> None:
    model = Model(Box)
    model.relu = nn.ReLU()
    with observe(model, ["box.grad"]) as observation:
        model(X).sum().backward()
    assert isinstance(observation["box.grad"], Box)
    assert observation["box.grad"].tensor.shape == (4, 3)


def test_a_packed_sequence_is_kept_as_it_was() -> None:
    class Packing(nn.Module):
        def forward(self, x: Tensor) -> PackedSequence:
            return pack_sequence([x[:3], x[:1]])

    model = nn.Sequential(Packing(), nn.GRU(3, 2))
    with torch.no_grad(), observe(model, ["0", "1"]) as observation:
        model(X)
    assert torch.equal(observation["0"].data, pack_sequence([X[:3], X[:1]]).data)
    assert isinstance(observation["1"][0], PackedSequence)


def test_one_tensor_under_two_names_is_two_values() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    with torch.no_grad(), observe(model, ["", "0"]) as observation:
        model(X)
    first, second = observation[""], observation["0"]
    assert observation.report.same_as
    second.zero_()
    assert torch.equal(first, model(X))
    save_file = pytest.importorskip("safetensors.torch").save
    with torch.no_grad(), observe(model, ["", "0"]) as observation:
        model(X)
    save_file({"root": observation[""], "0": observation["0"]})  # refuses memory that is shared


class Quantizing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.quantize_per_tensor(x, 0.1, 10, torch.quint8)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("method", ["numpy", "safetensors"])
@pytest.mark.parametrize("layer", [Quantizing, nn.Identity])
def test_quantized_and_sparse_outputs_are_saved_with_their_values(
    method: str, layer: type[nn.Module], tmp_path: Path
) -> None:
    model = nn.Sequential(layer())
    given = X[None] if layer is Quantizing else (X[None] * (X[None] > 0)).to_sparse()
    output = model(given)
    expected = output.dequantize() if output.is_quantized else output.to_dense()
    extractor = IntermediateExtractor(model, ["0"])
    with extractor:
        model(given)
    extractor.save_outputs(tmp_path, "a", save_method=method, emb_formats=["full"])
    if method == "numpy":
        saved = np.load(tmp_path / "full/a/0.npy")
    else:
        saved = pytest.importorskip("safetensors.numpy").load_file(tmp_path / "full/a/0.safetensors")["arr_0"]
    np.testing.assert_allclose(saved, expected.numpy())
    noted = tmp_path / "full/a/dtypes.json"
    assert not noted.exists() if layer is nn.Identity else json.loads(noted.read_text()) == {"0": "quint8"}


def test_a_live_extractor_can_be_exported() -> None:
    class Optional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.relu, self.last = nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)

        def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
            return self.last(self.relu(self.first(x)))

    model = Optional().eval()
    extractor = create_feature_extractor(model, ["first"], engine="hooks")
    exported = torch.export.export(extractor, (X,)).module()
    other = X + 1
    assert torch.equal(exported(other)["first"], model.first(other))


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (2, 2)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(2)


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = Attention()

    def forward(self, x: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        return self.attn(x)


def test_maps_are_saved_with_their_queries_as_the_sequence(tmp_path: Path) -> None:
    model, given = Masked(), torch.linspace(-1, 1, 40).reshape(2, 5, 4)
    heads = given.unflatten(-1, (2, 2)).transpose(1, 2)
    expected = (heads @ heads.transpose(-2, -1) / 2**0.5).softmax(-1)
    extractor = IntermediateExtractor(model, ["attn:at*"])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    with torch.no_grad(), extractor:
        model(given, attention_mask=mask)
    assert list(extractor.get_outputs()) == ["attn:attn"]
    extractor.save_outputs(tmp_path, "a", emb_formats=["full", "LT", "mean"], save_method="safetensors")
    load = pytest.importorskip("safetensors.torch").load_file
    saved = {form: load(next((tmp_path / form / "a").iterdir()))["arr_0"] for form in ("full", "LT", "mean")}
    torch.testing.assert_close(saved["full"], expected)
    torch.testing.assert_close(saved["LT"], torch.stack([expected[0, :, 4], expected[1, :, 2]]))
    torch.testing.assert_close(saved["mean"], torch.stack([expected[0].mean(1), expected[1, :, :3].mean(1)]))


def test_maps_that_never_ran_are_not_saved_in_silence(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    extractor = IntermediateExtractor(model, ["0", "attn"])
    with extractor:
        model(X)
    with pytest.raises(SelectionError, match="'attn' found no attention"):
        extractor.save_outputs(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_on_a_model_whose_maps_were_kept() -> None:
    model = Masked()
    extractor = IntermediateExtractor(model, ["attn"])
    extractor.register_hooks()
    extractor.detach_hooks()
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert torch.overrides._get_current_function_mode_stack() == []
