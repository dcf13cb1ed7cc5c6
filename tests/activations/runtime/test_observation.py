"""`observe`: several runs, reports, early stop, memory, compiled and wrapped models."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.activations.models import Dynamic, Reused, Staged
from tests.libraries import import_torchvision
from torchstat_cli.activations import KeepOptions, ObserveOptions, get_graph_node_names, observe
from torchstat_cli.errors import ModelError, SelectionError

X = torch.linspace(-1, 1, 12).reshape(3, 4)


def test_the_report_tells_what_happened() -> None:
    model = Staged().eval()
    with torch.no_grad(), observe(model, ["stage", "stage.*.linear", "stage.1"]) as observation:
        model(X)
    report = observation.report
    assert report.engine == "hooks"
    assert report.fired == {"stage": 1, "stage.1": 1, "stage.0.linear": 1, "stage.1.linear": 1}
    assert report.overwritten == ("stage.0.linear", "stage.1.linear")  # by the in-place ReLUs
    assert report.same_as == {"stage": "stage.1"}
    assert report.never_fired == ()
    assert report.stopped_after is None
    assert report.aliases == {}


def test_aliases_are_reported() -> None:
    model = Reused()
    with observe(model, ["twin"]) as observation:
        model(X)
    assert observation.report.aliases == {"twin": "layer"}
    assert torch.equal(observation["twin"], model.layer(X))


def test_every_run_in_the_block_counts() -> None:
    model = Staged().eval()
    with observe(model, ["head[:]"]) as observation:
        model(X)
        model(X + 1)
    first, second = observation["head[:]"]
    assert torch.equal(first, model(X))
    assert torch.equal(second, model(X + 1))


def test_stop_ends_the_block_after_the_last_value() -> None:
    model = Staged().eval()
    reached = False
    with observe(model, ["stage.0"], ObserveOptions(stop=True)) as observation:
        model(X)
        reached = True
    assert not reached
    assert observation.report.stopped_after == "stage.0"


def test_stop_is_not_caught_by_a_models_own_handlers() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.inner(x)
            except Exception as error:
                raise AssertionError from error

    with observe(Careful(), ["inner"], ObserveOptions(stop=True)) as observation:
        observation._model(X)
    assert observation["inner"].shape == (3, 4)


def test_a_selection_that_never_ran_is_an_error_unless_allowed() -> None:
    model = Dynamic()
    nn.init.constant_(model.first.bias, 5.0)
    with pytest.raises(SelectionError, match="'last' was selected but never ran"), observe(model, ["last"]):
        model(X)
    with observe(model, ["last", "first"], strict=False) as observation:
        model(X)
    assert observation.report.never_fired == ("last",)


def test_an_error_in_the_model_leaves_nothing_behind() -> None:
    model = Staged()
    with pytest.raises(RuntimeError, match="shape"), observe(model, ["head", "op:add"]):
        model(torch.ones(3, 5))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert torch.overrides._get_current_function_mode_stack() == []


def test_user_hooks_and_modes_are_untouched() -> None:
    model = Staged().train()
    model.stage[0].eval()
    handle = model.head.register_forward_hook(lambda module, inputs, output: output + 1)
    keys = list(model.state_dict())
    with observe(model, ["head", "op:add"]) as observation:
        output = model(X)
    assert torch.equal(observation["head"], output)  # what comes after the user's hook
    assert list(model.head._forward_hooks) == [handle.id]
    assert not model.stage[0].training
    assert model.training
    assert list(model.state_dict()) == keys


def test_values_keep_no_graph_and_are_not_inference_tensors() -> None:
    model = Staged()
    with observe(model, ["head"]) as observation:
        model(X)
    assert not observation["head"].requires_grad
    with torch.inference_mode(), observe(model, ["head"]) as observation:
        model(X)
    assert not observation["head"].is_inference()


def test_copies_can_be_turned_off() -> None:
    model = Staged().eval()
    options = ObserveOptions(keep=KeepOptions(copy=False))
    with torch.no_grad(), observe(model, ["stage.0.linear", "stage.0.relu"], options) as observation:
        model(X)
    assert observation["stage.0.linear"].data_ptr() == observation["stage.0.relu"].data_ptr()


def test_values_go_to_another_device() -> None:
    model = Staged()
    with observe(model, ["head"], ObserveOptions(keep=KeepOptions(device="meta"))) as observation:
        model(X)
    assert observation["head"].is_meta


def test_memory_stays_flat_over_many_runs() -> None:
    model = nn.Sequential(nn.Linear(4, 1000), nn.Linear(1000, 4))

    def live() -> int:
        gc.collect()
        return sum(issubclass(type(item), Tensor) for item in gc.get_objects())

    with observe(model, ["0"]) as first:
        model(X)
    before = live()
    for _ in range(20):
        with observe(model, ["0"]) as observation:
            model(X)
    assert live() <= before + 1
    assert torch.equal(first["0"], observation["0"])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_nested_tensors_come_padded_with_their_mask() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True).eval()
    x = torch.randn(2, 5, 8)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad(), observe(model, ["layers.0"]) as observation:
        model(x, src_key_padding_mask=padding)
    assert not observation["layers.0"].is_nested
    assert observation["layers.0"].shape == (2, 5, 8)
    if observation.masks:  # the layer was given a nested tensor
        assert observation.masks["layers.0"].tolist() == (~padding).tolist()


@pytest.mark.parametrize("warm", [True, False])
def test_compiled_models_show_every_module(warm: bool) -> None:
    torch._dynamo.reset()
    model = torch.compile(Staged().eval(), backend="eager")
    if warm:
        model(X)
    with torch.no_grad(), observe(model, ["*"]) as observation:
        model(X)
    # Two blocks of three modules, the stage and the head; the root has an empty name, which * matches too.
    assert len(observation.values) == 9
    model(X)
    torch._dynamo.reset()


def test_a_compiled_child_is_seen_through() -> None:
    torch._dynamo.reset()
    model = Staged().eval()
    model.stage = torch.compile(model.stage, backend="eager")
    model(X)
    with torch.no_grad(), observe(model, ["stage.1.linear", "stage"]) as observation:
        output = model(X)
    assert torch.equal(model.head(observation["stage"]), output)
    torch._dynamo.reset()


def test_data_parallel_prefixes_are_stripped() -> None:
    model = nn.DataParallel(Staged().eval())
    with observe(model, ["stage.0"]) as observation:
        model(X)
    assert observation["stage.0"].shape == (3, 4)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_what_hides_its_insides_is_refused() -> None:
    traced = torch.jit.trace(nn.Linear(4, 4), X)
    with pytest.raises(ModelError, match="TorchScript"), observe(traced, ["weight"]):
        pass
    around = nn.Sequential(nn.ReLU(), traced)
    with pytest.raises(ModelError, match="TorchScript"), observe(around, ["1"]):
        around(X)
    with observe(around, ["0"]) as observation:
        around(X)
    assert torch.equal(observation["0"], X.relu())


class Fallback(nn.Module):
    """A module raises, and the model goes on without it."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = nn.Sequential(nn.Linear(3, 3))
        self.sound = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        try:
            y = self.broken(x)
        except RuntimeError:
            y = self.sound(x)
        return y.relu()


def test_what_runs_after_a_caught_error_is_seen() -> None:
    model = Fallback()
    with observe(model, ["op:relu", "sound"]) as observation:
        model(X)
        model(X)
    assert observation.report.fired == {"relu": 2, "sound": 2}
    assert torch.equal(observation["relu"], model(X))
    assert torch.overrides._get_current_function_mode_stack() == []
    assert get_graph_node_names(model, engine="runtime", example_inputs=X)[1] == ["x", "sound", "relu"]
    assert not any(module._forward_hooks for module in model.modules())


def test_copies_are_no_operators_of_the_model() -> None:
    class Detaching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Staged()

        def forward(self, x: Tensor) -> Tensor:
            y = self.inner(x)
            return y + y.detach()

    model = Detaching().eval()
    with observe(model, ["type:Module", "op:*"]) as observation:
        model(X)
    modules = {path for path, _ in model.named_modules()}
    assert observation.values.keys() - modules == {"x", "inner.stage.0.add", "inner.stage.1.add", "detach", "add"}
    assert torch.equal(observation["detach"], observation["inner"])


def test_operators_have_no_inputs() -> None:
    with pytest.raises(SelectionError, match="names nothing"), observe(Staged(), ["stage.0.add.input"]):
        pass


def test_keyword_inputs() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _Keywords()

        def forward(self, x: Tensor) -> Any:
            return self.inner(left=x, right=x + 1)

    with observe(Outer(), ["inner.input", "inner.input[right]"]) as observation:
        observation._model(X)
    assert set(observation["inner.input"]) == {"left", "right"}
    assert torch.equal(observation["inner.input[right]"], X + 1)


class _Keywords(nn.Module):
    def forward(self, *, left: Tensor, right: Tensor) -> Tensor:
        return left + right


@pytest.mark.libraries
def test_resnet18_compiled_and_warm() -> None:
    torchvision = import_torchvision()
    torch._dynamo.reset()
    model = torchvision.models.resnet18().eval()
    compiled = torch.compile(model, backend="eager")
    images = torch.randn(1, 3, 32, 32)
    compiled(images)
    with torch.no_grad(), observe(compiled, ["*"]) as observation:
        compiled(images)
    assert set(observation.report.fired) == {path for path, _ in model.named_modules()}
    assert len(observation.report.fired) == 68
    torch._dynamo.reset()
