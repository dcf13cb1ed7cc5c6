"""`Recorder`: attention maps equal to eager ones, outputs unchanged, on models of four libraries and of torch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.activations.huggingface import import_transformers
from tests.libraries import import_timm, import_torchvision
from torchstat_cli.activations import Recorder, observe
from torchstat_cli.errors import EjectedError

pytest_libraries = pytest.mark.libraries


class SelfAttention(nn.Module):
    """Fused attention with 2 heads of width 2; ``eager=True`` computes the same by a softmax."""

    def __init__(self, eager: bool = False) -> None:
        super().__init__()
        self.project = nn.Linear(4, 12)
        self.eager = eager

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.project(x).unflatten(-1, (3, 2, 2)).transpose(1, 3).unbind(2)
        if self.eager:
            weights = (query @ key.transpose(-2, -1) / 2**0.5).softmax(dim=-1)
            return (weights @ value).transpose(1, 2).flatten(2)
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def tower(eager: bool = False, depth: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(SelfAttention(eager) for _ in range(depth)))


X = torch.linspace(-1, 1, 40).reshape(2, 5, 4)


def test_fused_maps_equal_eager_ones() -> None:
    fused, eager = tower(), tower(eager=True)
    output, maps = Recorder(fused)(X)
    _, expected = Recorder(eager)(X)
    assert isinstance(maps, Tensor)
    assert maps.shape == (2, 3, 2, 5, 5)
    assert torch.equal(output, fused(X))
    torch.testing.assert_close(maps, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 3, 2, 5))
    assert not maps.requires_grad


def test_maps_of_different_shapes_come_by_name() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = tower(depth=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x)[:, :3])

    _, maps = Recorder(Pooled())(X)
    assert isinstance(maps, dict)
    assert {name: tuple(value.shape) for name, value in maps.items()} == {"first": (2, 2, 5, 5), "second": (2, 2, 3, 3)}


def test_a_second_call_does_not_grow_and_nothing_stays_on_the_model() -> None:
    model = tower()
    recorder = Recorder(model)
    assert recorder(X)[1].shape == recorder(X)[1].shape  # type: ignore[union-attr]
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())


def test_a_failing_model_is_left_clean() -> None:
    model = tower()
    with pytest.raises(RuntimeError, match="shape"):
        Recorder(model)(torch.ones(2, 5, 3))
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert torch.overrides._get_current_function_mode_stack() == []


def test_subsets_are_parts_of_the_whole() -> None:
    model = tower()
    whole = Recorder(model)(X)[1]
    part = Recorder(model, heads=[1], queries=slice(0, 1), keys=[4, 0])(X)[1]
    assert isinstance(whole, Tensor)
    torch.testing.assert_close(part, whole[:, :, [1]][..., :1, :][..., [4, 0]])


def test_ejected_recorders_give_the_model_back() -> None:
    model = tower()
    recorder = Recorder(model)
    assert recorder.eject() is model
    assert recorder.eject() is model
    with pytest.raises(EjectedError, match="recorder has been ejected, cannot be used anymore"):
        recorder(X)


def test_no_attention_is_none() -> None:
    assert Recorder(nn.Linear(4, 4))(X)[1] is None


def test_attention_that_cannot_be_seen_is_warned_of() -> None:
    class HiddenAttention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            weights = (x @ x.transpose(1, 2)).exp()
            return weights / weights.sum(-1, keepdim=True) @ x

    with pytest.warns(UserWarning, match="no attention was seen"):
        assert Recorder(HiddenAttention())(X)[1] is None


def test_attention_may_be_told_by_the_name_of_the_module_alone() -> None:
    class Mixing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x @ x.transpose(1, 2)).softmax(dim=-1) @ x

    class Model(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name
            self.add_module(name, Mixing())

        def forward(self, x: Tensor) -> Tensor:
            return self.get_submodule(self.name)(x)

    with pytest.warns(UserWarning, match=r"square ran in another module: observe\(model, \['mixer.softmax'\]\)"):
        assert Recorder(Model("mixer"))(X)[1] is None
    model = Model("mixer")
    with observe(model, ["mixer.softmax"]) as observation:
        model(X)
    torch.testing.assert_close(observation["mixer.softmax"], (X @ X.transpose(1, 2)).softmax(-1))
    maps = Recorder(Model("attn"), by_name=True)(X)[1]
    assert isinstance(maps, dict)
    torch.testing.assert_close(maps["attn"], (X @ X.transpose(1, 2)).softmax(-1))


def test_maps_recorded_by_hand_are_added() -> None:
    recorder = Recorder(tower())
    recorder.record(torch.ones(2, 2, 5, 5))
    assert len(recorder.recordings) == 1
    recorder.clear()
    assert recorder.recordings == []


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("gradients", [True, False])
def test_multihead_attention_keeps_its_native_path(training: bool, gradients: bool) -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"attention": nn.MultiheadAttention(8, 2, batch_first=True)})

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = model["attention"]

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=False)[0]

    module, x = Model().train(training), torch.randn(2, 5, 8)
    with torch.set_grad_enabled(gradients):
        expected = module(x)
        output, maps = Recorder(module, by_name=True)(x)
    assert torch.equal(output, expected)
    assert isinstance(maps, dict)
    torch.testing.assert_close(maps["attention"].sum(-1), torch.ones(2, 2, 5))


def test_the_selector_attn_names_maps_by_module() -> None:
    with observe(tower(), ["attn:1"]) as observation:
        observation._model(X)
    assert list(observation.values) == ["attn:1"]


@pytest_libraries
def test_timm_vit() -> None:
    timm = import_timm()
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224").eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected_output = model(images)
        output, maps = Recorder(model, by_name=True)(images)
        assert torch.equal(output, expected_output)
        assert list(maps) == [f"blocks.{block}.attn" for block in range(12)]
        for block in model.blocks:
            block.attn.fused_attn = False
        unfused = Recorder(model, by_name=True)(images)[1]
    for name, value in maps.items():
        torch.testing.assert_close(value, unfused[name], atol=1e-5, rtol=0)


@pytest_libraries
def test_torchvision_vit() -> None:
    torchvision = import_torchvision()
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5).eval()
    nn.init.normal_(model.heads.head.weight)  # zero at first, which would hide a change
    images = torch.randn(1, 3, 32, 32)
    reference = copy.deepcopy(model)
    eager: list[Tensor] = []
    for block in reference.encoder.layers:
        attention = block.self_attention

        def ask(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
            return args, {**kwargs, "need_weights": True, "average_attn_weights": False}

        attention.register_forward_pre_hook(ask, with_kwargs=True)
        attention.register_forward_hook(lambda module, args, output: eager.append(output[1]))
    with torch.no_grad():
        expected = model(images)
        output, maps = Recorder(model, by_name=True)(images)
        reference(images)
    assert torch.equal(output, expected)
    assert list(maps) == [f"encoder.layers.encoder_layer_{layer}.self_attention" for layer in range(2)]
    for value, other in zip(maps.values(), eager, strict=True):
        assert value.shape == (1, 2, 17, 17)
        torch.testing.assert_close(value, other, atol=1e-6, rtol=0)
        torch.testing.assert_close(value.sum(-1), torch.ones(1, 2, 17))


def huggingface(kind: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A tiny model with fused attention, and its inputs; BERT's second row is padded."""
    transformers = import_transformers()
    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    tokens = torch.randint(1, 90, (2, 7))
    if kind == "vit":
        config = transformers.ViTConfig(**small, image_size=32, patch_size=8)
        inputs = {"pixel_values": torch.randn(2, 3, 32, 32)}
    elif kind == "bert":
        config = transformers.BertConfig(**small, vocab_size=100)
        mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
        inputs = {"input_ids": tokens, "attention_mask": mask}
    elif kind == "gpt2":
        config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=100)
        inputs = {"input_ids": tokens}
    else:
        config = transformers.LlamaConfig(**small, num_key_value_heads=2, vocab_size=100)
        inputs = {"input_ids": tokens}
    return transformers.AutoModel.from_config(config, attn_implementation="sdpa").eval(), inputs


@pytest_libraries
@pytest.mark.parametrize("kind", ["vit", "bert", "gpt2", "llama"])
def test_transformers_models(kind: str) -> None:
    model, inputs = huggingface(kind)
    before = model.config.to_dict()
    with torch.no_grad():
        expected = model(**inputs)[0]
        output, maps = Recorder(model)(**inputs)
        assert torch.equal(output[0], expected)
        assert model.config.to_dict() == before
        model.set_attn_implementation("eager")
        eager = torch.stack(model(**inputs, output_attentions=True).attentions, dim=1)
    assert isinstance(maps, Tensor)
    torch.testing.assert_close(maps, eager, atol=1e-5, rtol=0)
