"""`Extractor`: vit-pytorch's behaviour row by row, and what it adds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.activations.models import Dynamic, Staged, Wrapping
from torchstat_cli.activations import Extractor
from torchstat_cli.errors import EjectedError, InputError, ModelError, ModelstatError

X = torch.linspace(-1, 1, 12).reshape(3, 4)


def test_output_and_latents_of_a_dotted_layer() -> None:
    model = Staged()
    output, latents = Extractor(model, layer_name="stage.0.linear")(X)
    assert torch.equal(output, model(X))
    assert torch.equal(latents, model.stage[0].linear(X))
    assert not latents.requires_grad


def test_a_layer_object_wins_over_the_name() -> None:
    model = Staged()
    extractor = Extractor(model, layer=model.head, layer_name="stage")
    assert torch.equal(extractor(X)[1], model(X))
    assert set(extractor.state_dict()) == {f"vit.{name}" for name in model.state_dict()}


def test_hooks_are_set_at_the_first_call_and_stay_until_ejected() -> None:
    model = Staged()
    extractor = Extractor(model, layer_name="stage")
    assert (extractor.hooks, extractor.hook_registered, extractor.latents) == ([], False, None)
    extractor(X)
    extractor(X)
    assert len(extractor.hooks) == len(model.stage._forward_hooks) == 1
    assert extractor.hook_registered
    extractor.clear()
    assert extractor.latents is None
    assert extractor.eject() is model
    assert extractor.eject() is model
    assert not model.stage._forward_hooks
    with pytest.raises(AssertionError, match="extractor has been ejected, cannot be used anymore"):
        extractor(X)


def test_embeddings_only_at_construction_or_call() -> None:
    model = Staged()
    assert isinstance(Extractor(model, layer_name="stage")(X, return_embeddings_only=True), Tensor)
    assert isinstance(Extractor(model, layer_name="stage")(X, True), Tensor)
    always = Extractor(model, layer_name="stage", return_embeddings_only=True)
    assert isinstance(always(X, return_embeddings_only=False), Tensor)


def test_inputs_as_a_tuple() -> None:
    latents = Extractor(Staged(), layer_name="stage", layer_save_input=True)(X)[1]
    assert isinstance(latents, tuple)
    assert torch.equal(latents[0], X)


def test_live_latents_train() -> None:
    model = Staged()
    latents = Extractor(model, layer_name="stage.0", detach=False)(X)[1]
    latents.sum().backward()
    assert model.stage[0].linear.weight.grad is not None
    assert model.head.weight.grad is None


@pytest.mark.parametrize("kind", ["dict", "list", "tuple"])
def test_structured_outputs_and_extra_arguments(kind: str) -> None:
    output, latents = Extractor(Wrapping(kind))(X, scale=3.0)
    assert torch.equal(output, X * 3)
    values = list(latents.values()) if kind == "dict" else list(latents)
    assert type(latents).__name__ == kind
    assert torch.equal(values[0], X + 1)
    assert values[1] is None or torch.equal(values[1], X + 2)


def test_a_layer_that_returns_none() -> None:
    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = _Nothing()

        def forward(self, x: Tensor) -> Tensor:
            self.transformer(x)
            return x

    assert Extractor(Silent())(X)[1] is None


class _Nothing(nn.Module):
    def forward(self, x: Tensor) -> None:
        return None


def test_a_missing_layer_is_told_at_the_first_call() -> None:
    extractor = Extractor(Staged(), layer_name="stag")
    with pytest.raises(AssertionError, match="layer whose output to take as embedding not found") as caught:
        extractor(X)
    assert isinstance(caught.value, ModelstatError)
    assert "'stage'" in str(caught.value)


def test_a_layer_that_does_not_run_and_one_of_another_model() -> None:
    model = Dynamic()
    nn.init.constant_(model.first.bias, 5.0)
    with pytest.raises(EjectedError, match="'last' did not run"):
        Extractor(model, layer_name="last")(X)
    with pytest.raises(EjectedError, match="Linear did not run"):
        Extractor(model, layer=nn.Linear(4, 4))(X)


def test_another_device_and_scripted_models() -> None:
    with pytest.raises(InputError, match=r"move the inputs|the model is on meta"):
        Extractor(Staged().to("meta"), layer_name="stage")(X)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_refused() -> None:
    traced = torch.jit.trace(Staged().eval(), X)
    with pytest.raises(ModelError, match="TorchScript"):
        Extractor(traced, layer_name="stage")(X)


def test_a_copy_of_a_used_extractor_is_independent() -> None:
    extractor = Extractor(Staged(), layer_name="stage")
    extractor(X)
    twin = copy.deepcopy(extractor)
    latents = twin(X + 1)[1]
    assert not torch.equal(latents, extractor.latents)
    assert torch.equal(twin.vit.stage(X + 1), latents)


def test_two_extractors_on_one_model() -> None:
    model = Staged()
    first, second = Extractor(model, layer_name="stage"), Extractor(model, layer_name="head")
    assert first(X)[1].shape == (3, 4)
    assert second(X)[1].shape == (3, 2)
    assert first(X)[1].shape == (3, 4)


def test_compiled_around_and_inside() -> None:
    torch._dynamo.reset()
    model = Staged().eval()
    expected = Extractor(model, layer_name="stage")(X)[1]
    assert torch.equal(torch.compile(Extractor(model, layer_name="stage"), backend="eager")(X)[1], expected)
    warm = torch.compile(Staged().eval(), backend="eager")
    warm(X)
    latents = Extractor(warm, layer_name="stage")(X)[1]
    assert torch.equal(latents, warm._orig_mod.stage(X))
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"layer": "stage"}, TypeError, "layer must be a module, not str"),
        ({"layer_name": None}, TypeError, "layer_name must be a string, not NoneType"),
        ({"device": "gpu"}, ModelstatError, "torch knows no device 'gpu'"),
    ],
)
def test_wrong_options_are_told_before_anything_runs(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Extractor(Staged(), **options)
