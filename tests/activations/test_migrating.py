"""Each line of the migration tables in docs/extraction.md: what the other tool returns, and what ours does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.activations.models import Reused, Staged
from torchstat_cli.activations import create_feature_extractor, observe

pytestmark = [pytest.mark.libraries, pytest.mark.filterwarnings("ignore")]  # other libraries' warnings are theirs

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Classifier(nn.Module):
    """Two blocks with in-place operators, a linear layer and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = Staged()

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.body(x), -1)


def features(model: nn.Module, *names: str) -> list[Any]:
    return list(create_feature_extractor(model, names)(X).values())


class TestCaptum:
    @pytest.fixture
    def captum(self) -> Any:
        return pytest.importorskip("captum.attr")

    def test_outputs_and_inputs_of_layers(self, captum: Any) -> None:
        model = Classifier()
        head = captum.LayerActivation(model, model.body.head)
        assert torch.equal(head.attribute(X), *features(model, "body.head"))
        assert torch.equal(head.attribute(X, attribute_to_layer_input=True), *features(model, "body.head.input"))
        both = captum.LayerActivation(model, [model.body.stage, model.body.head]).attribute(X)
        pairs = zip(both, features(model, "body.stage", "body.head"), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)

    def test_a_layer_called_again(self, captum: Any) -> None:
        model = Reused()
        last = captum.LayerActivation(model, model.layer).attribute(X)
        assert torch.equal(last, *features(model, "layer[-1]"))

    def test_gradient_times_activation(self, captum: Any) -> None:
        model = Classifier()
        expected = captum.LayerGradientXActivation(model, model.body.stage).attribute(X, target=1)
        extractor = create_feature_extractor(model, ["body.stage", "body.stage.grad", "softmax"])
        values = extractor(X)
        values["softmax"][:, 1].sum().backward()
        torch.testing.assert_close(extractor.gradients()["body.stage.grad"] * values["body.stage"], expected)


class TestNnsight:
    @pytest.fixture
    def nnsight(self) -> Any:
        return pytest.importorskip("nnsight")

    def test_outputs_inputs_and_operators(self, nnsight: Any) -> None:
        model = Classifier()
        traced = nnsight.NNsight(model)
        with traced.trace(X):
            given = traced.body.head.input.save()
            head = traced.body.head.output.save()
        with traced.trace(X):
            softmax = traced.source.torch_softmax_0.output.save()
        with observe(model, ["softmax", "body.head", "body.head.input"]) as observation:
            model(X)
        for key, expected in (("softmax", softmax), ("body.head", head), ("body.head.input", given)):
            assert torch.equal(observation[key], expected)

    def test_gradients(self, nnsight: Any) -> None:
        model = Classifier()
        traced = nnsight.NNsight(model)
        with traced.trace(X):
            stage = traced.body.stage.output
            total = traced.output[:, 1].sum()
            with total.backward():
                expected = stage.grad.save()
        extractor = create_feature_extractor(model, ["body.stage.grad", "softmax"])
        extractor(X)["softmax"][:, 1].sum().backward()
        torch.testing.assert_close(extractor.gradients()["body.stage.grad"], expected)

    def test_values_are_overwritten_there(self, nnsight: Any) -> None:
        model = Classifier()
        traced = nnsight.NNsight(model)
        with traced.trace(X):
            seen = traced.body.stage[0].linear.output.save()
        (ours,) = features(model, "body.stage.0.linear")
        assert torch.equal(ours, model.body.stage[0].linear(X))
        assert torch.equal(seen, ours.relu())


TORCHLENS = """
import torch
import torchlens as tl
from tests.activations.test_migrating import Classifier, X, features
from torchstat_cli.activations import observe

model = Classifier()
with torch.no_grad(), observe(model, ["type:Module", "op:*"]) as observation:
    model(X)
linear, add, relu = features(model, "body.head", "body.stage.0.add", "body.stage.0.relu")

trace = tl.trace(model, X)
ours = [value for value in observation.values.values()]
for label in trace.layer_labels:
    assert any(torch.equal(trace[label].out, value) for value in ours if value.shape == trace[label].out.shape), label
assert torch.equal(trace["body.head"].out, linear)
assert torch.equal(tl.extract(model, X, ["body.head"])["body.head"], linear)

adds = tl.trace(model, X, save=tl.func("add"))
assert torch.equal(adds["add_1_3"].out, add)
print("equal")
"""


def test_torchlens() -> None:
    pytest.importorskip("torchlens")
    # It replaces torch's functions for good, so it gets a process of its own.
    done = subprocess.run([sys.executable, "-c", TORCHLENS], capture_output=True, text=True, check=False)
    assert done.stdout == "equal\n", done.stderr
