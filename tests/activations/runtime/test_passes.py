"""Loops: calls count within a forward pass, a name means the last one, and a selection reaches the others."""

from __future__ import annotations

import contextlib
import weakref

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.activations.models import Reused
from tests.libraries import import_transformers
from torchstat_cli.activations import KeepOptions, ObserveOptions, create_feature_extractor, observe
from torchstat_cli.errors import SelectionError

BATCHES = [torch.full((2, 4), float(number)) for number in range(3)]


@pytest.mark.parametrize("engine", ["hooks", "runtime"])
def test_a_name_means_the_last_pass(engine: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    with torch.no_grad(), observe(model, ["0", "*.input"], ObserveOptions(engine=engine)) as observation:
        for batch in BATCHES:
            model(batch)
            assert torch.equal(observation["0"], F.linear(batch, model[0].weight, model[0].bias))
            assert torch.equal(observation["0.input"], batch)
    assert observation.report.fired["0"] == 6  # as output and as input
    assert observation.report.passes == 3


def test_operators_are_counted_anew_in_every_pass() -> None:
    class Twice(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(F.relu(x) - 1)

    with observe(Twice(), ["relu", "relu_1", "relu_1@0"]) as observation:
        for batch in BATCHES:
            observation._model(batch)
    assert torch.equal(observation["relu"], BATCHES[2])
    assert torch.equal(observation["relu_1"], BATCHES[2] - 1)
    assert torch.equal(observation["relu_1@0"], torch.zeros(2, 4))


def test_earlier_passes_are_reached_by_number_by_slice_and_all_at_once() -> None:
    model = Reused()
    selections = ["layer@0", "layer_1@-2", "layer@:", "layer@1:", "layer[:]", "layer.input@:", "layer[2]@0"]
    with torch.no_grad(), observe(model, selections) as observation:
        for batch in BATCHES:
            model(batch)
    with torch.no_grad():
        expected = [model.layer(batch) for batch in BATCHES]
        second, third = model.layer(expected[1]), model.layer(model.layer(expected[0]))
    assert torch.equal(observation["layer@0"], expected[0])
    assert torch.equal(observation["layer_1@-2"], second)
    assert torch.equal(observation["layer@:"], torch.stack(expected))
    assert torch.equal(observation["layer@1:"], torch.stack(expected[1:]))
    assert torch.equal(observation["layer.input@:"], torch.stack(BATCHES))
    assert torch.equal(observation["layer[2]@0"], third)
    assert len(observation["layer[:]"]) == 9


def test_a_module_called_outside_of_the_model_makes_a_pass_of_its_own() -> None:
    model = nn.ModuleDict({"vision": nn.Sequential(nn.Linear(4, 4), nn.ReLU()), "head": nn.Linear(4, 2)})
    with torch.no_grad(), observe(model, ["vision.0", "head"]) as observation:
        for batch in BATCHES:
            hidden = model["vision"](batch)
            assert torch.equal(observation["vision.0"].relu(), hidden)
            assert torch.equal(model["head"](hidden), observation["head"])


def test_a_model_that_calls_itself_is_one_pass() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor, depth: int = 2) -> Tensor:
            return self.layer(self(x, depth - 1) if depth else x)

    model = Nested()
    with torch.no_grad(), observe(model, ["layer", "layer_2", ""]) as observation:
        for _ in range(2):
            output = model(BATCHES[1])
    assert observation.report.passes == 2
    assert torch.equal(observation[""], output)
    assert torch.equal(observation["layer_2"], output)


def test_a_pass_that_failed_or_was_interrupted_is_over() -> None:
    class Fragile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.error: BaseException | None = None

        def forward(self, x: Tensor) -> Tensor:
            x = self.layer(x)
            if self.error is not None:
                raise self.error
            return x

    model = Fragile()
    with torch.no_grad(), observe(model, ["layer"]) as observation:
        for error in (None, ValueError(), KeyboardInterrupt(), None):
            model.error = error
            with contextlib.suppress(ValueError, KeyboardInterrupt):
                model(BATCHES[1])
    assert observation.report.fired == {"layer": 4}
    assert observation.report.passes == 4


def test_a_long_loop_keeps_the_last_pass_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    refs = []
    with observe(model, ["*", "op:relu"], ObserveOptions(keep=KeepOptions(detach=False)), strict=False) as observation:
        for _ in range(5):
            model(BATCHES[0])
            refs.append(weakref.ref(observation["0"]))
    assert [ref() is not None for ref in refs[:-2]] == [False] * 3


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("0@3", "there is no forward pass 3"),
        ("0@-4", "there is no forward pass -4"),
        ("0@tokens", "has no axis of tokens"),
        ("stack:?", "so they make no one tensor"),
        ("0@x", "is no forward pass"),
        ("0@", "is no forward pass"),
        ("stack:", "names nothing to stack"),
        ("stack:9", "never ran"),
    ],
)
def test_what_cannot_be_selected_is_said(selection: str, message: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))

    def read() -> object:
        with torch.no_grad(), observe(model, [selection]) as observation:
            for batch in BATCHES:
                model(batch)
        return observation.values

    with pytest.raises(SelectionError, match=message):
        read()


def test_a_value_over_the_layers_is_one_tensor() -> None:
    blocks = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)))
    extractor = create_feature_extractor(blocks, {"stack:?": "blocks", "1": "1"})
    x = BATCHES[1].clone().requires_grad_()
    values = extractor(x)
    hidden = [x]
    for block in blocks:
        hidden.append(block(hidden[-1]))
    assert torch.equal(values["blocks"], torch.stack(hidden[1:]))
    (gradient,) = torch.autograd.grad(values["blocks"][2].sum(), values["1"])
    assert torch.allclose(gradient, blocks[2].weight.sum(0).expand(2, 4))


def test_generation_by_token_and_by_layer() -> None:
    transformers = import_transformers()
    config = transformers.LlamaConfig(
        num_hidden_layers=2, hidden_size=16, intermediate_size=16, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=64, pad_token_id=0,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    ids = torch.randint(2, 60, (2, 6))
    layers, steps = "model.layers.?", 4
    selections = [f"{layers}@tokens", f"stack:{layers}@tokens", "model.layers.0@:", f"stack:{layers}@1:", "attn"]
    settings = {"max_new_tokens": steps, "min_new_tokens": steps, "do_sample": False}
    with torch.no_grad():
        model.generate(ids[:1], **settings)
        with observe(model, selections) as observation:
            sequence = model.generate(ids, **settings)
        with observe(model, [f"{layers}@tokens", "attn"]) as uncached:
            model.generate(ids, **settings)
            model.generate(ids, use_cache=False, **settings)
        assert uncached.report.passes == 2 * steps
        # A run over the whole sequence without cache computes the same positions.
        whole = create_feature_extractor(model, [layers])(sequence[:, :-1])
    for number in range(2):
        name = f"model.layers.{number}"
        expected = whole[name][:, -steps:]
        assert torch.allclose(observation[f"{name}@tokens"], expected, atol=1e-5)
        assert torch.allclose(uncached[f"{name}@tokens"], expected.repeat(1, 2, 1), atol=1e-5)
        assert [value.shape[-1] for key, value in uncached.values.items() if f"{name}.self_attn" in key] == [6, 7, 8, 9]
        assert torch.allclose(observation[f"stack:{layers}@tokens"][number], expected, atol=1e-5)
        decoded = observation[f"stack:{layers}@1:"][number, :, :, 0].transpose(0, 1)
        assert torch.allclose(decoded, expected[:, 1:], atol=1e-5)
        maps = [key for key in observation.values if key.startswith(f"attn:{name}.")]
        assert [tuple(observation.values[key].shape) for key in maps] == [
            (2, 4, 6, 6), (2, 4, 1, 7), (2, 4, 1, 8), (2, 4, 1, 9)
        ]  # fmt: skip
    assert isinstance(observation["model.layers.0@:"], list)
