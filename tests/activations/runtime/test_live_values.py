"""Where gradients are on, the model's own tensors are handed out: one can be differentiated by another."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from torchstat_cli.activations import Extractor, IntermediateExtractor, Recorder, create_feature_extractor, observe

X = torch.randn(3, 4)


class Mixed(nn.Module):
    """Has an optional argument, so that no graph is certain; its second layer is overwritten in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.last(F.relu(self.second(self.first(x)), inplace=True).add(1))


@pytest.mark.parametrize("engine", ["fx", "hooks", "runtime"])
def test_one_value_by_another(engine: str) -> None:
    model = Mixed()
    values = create_feature_extractor(model, ["first", "last"], engine=engine)(X)
    values["first"].retain_grad()
    (gradient,) = torch.autograd.grad(values["last"].sum(), values["first"], retain_graph=True)
    values["first"].grad = None
    values["last"].sum().backward()
    hidden = model.first(X).detach().requires_grad_()
    (expected,) = torch.autograd.grad(model.last(model.second(hidden).relu() + 1).sum(), hidden)
    assert torch.allclose(gradient, expected)
    assert torch.allclose(values["first"].grad, expected)


@pytest.mark.parametrize("engine", ["hooks", "runtime"])
def test_what_was_overwritten_is_a_copy_that_still_leads_back(engine: str) -> None:
    model = Mixed()
    values = create_feature_extractor(model, ["second", "last"], engine=engine)(X)
    assert torch.equal(values["second"], model.second(model.first(X)))
    values["second"].sum().backward()
    assert torch.allclose(model.second.bias.grad, torch.full((4,), 3.0))


def test_parameters_are_never_handed_out_themselves() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self) -> Tensor:
            return self.weight

    class Uses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = Table()

        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            return x * self.table()

    model = Uses()
    value = create_feature_extractor(model, ["table"])(X)["table"]
    with torch.no_grad():
        model.table.weight.mul_(2)
    assert torch.equal(value, torch.ones(4))


def test_gradients_of_operators_and_packed_sequences() -> None:
    class Packed(nn.Module):
        def forward(self, x: PackedSequence) -> PackedSequence:
            return x._replace(data=x.data * 2)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.packed = Packed()

        def forward(self, x: Tensor) -> Tensor:
            return self.packed(pack_padded_sequence(x, [2, 1], batch_first=True)).data.mean(0) * 5

    model, x = Model(), torch.randn(2, 2, 3, requires_grad=True)
    with observe(model, ["mean.grad", "packed.grad", "op:mul.grad"]) as observation:
        model(x).sum().backward()
    assert torch.equal(observation["mean.grad"], torch.full((3,), 5.0))
    assert torch.allclose(observation["packed.grad"].data, torch.full((3, 3), 5 / 3))
    assert torch.equal(observation["packed.grad"].batch_sizes, torch.tensor([2, 1]))
    assert torch.equal(observation["mul.grad"], torch.ones(3))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_modules_have_gradients_and_are_called_once(reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(checkpoint(self.first, x, use_reentrant=reentrant))

    model, x = Checkpointed(), X.clone().requires_grad_()
    with observe(model, ["first", "first.grad", "op:*"], strict=False) as observation:
        model(x).sum().backward()
    assert torch.allclose(observation["first.grad"], model.second.weight.sum(0).expand(3, 4))
    assert torch.equal(observation["first"], model.first(x))
    assert observation.report.passes == 1
    assert observation.report.fired["first"] == 2  # its output and its gradient


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("selection", ["first", "last", "relu", "op:*", "attn"])
def test_dropped_values_are_gone_at_once(selection: str) -> None:
    class Attending(Mixed):
        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            x = super().forward(x)
            return F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None])

    model = Attending()
    extractor, recorder = create_feature_extractor(model, [selection]), Recorder(model)
    for _ in range(2):
        values = extractor(X)
        with observe(model, [selection]) as observation:
            model(X)
        maps = recorder(X)[1]
        refs = [weakref.ref(value) for value in (*values.values(), *observation.values.values(), maps)]
        del values, observation, maps
        recorder.clear()
        assert all(ref() is None for ref in refs)


@pytest.mark.usefixtures("no_collector")
def test_dropped_wrappers_take_their_hooks_along() -> None:
    model = Mixed()
    for _ in range(3):
        extractor = Extractor(model, layer_name="first")
        extractor(X)
        intermediate = IntermediateExtractor(model, ["first"])
        intermediate.register_hooks()
        del extractor, intermediate
    assert [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()] == [0, 0, 0, 0]


def test_a_copy_of_an_extractor_hears_its_own_model() -> None:
    import copy

    extractor = Extractor(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), layer_name="0")
    extractor(X)
    for copied in (copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))):
        with torch.no_grad():
            copied.vit[0].weight.zero_()
        assert torch.equal(copied(X)[1], copied.vit[0].bias.expand(3, 4))
        assert torch.equal(extractor(X)[1], extractor.vit[0](X))


def test_an_extractor_inside_an_observed_model() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = create_feature_extractor(Mixed(), ["first", "second"], engine="hooks")

        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            return self.body(x)["second"]

    model = Detector()
    assert torch.equal(
        create_feature_extractor(model, ["body.model.first"])(X)["body.model.first"], model.body.model.first(X)
    )
    assert torch.equal(create_feature_extractor(model, ["body"])(X)["body"]["second"], model(X))
