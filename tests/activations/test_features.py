"""`create_feature_extractor` and `get_graph_node_names` on small models: true values, errors, safety."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from tests.activations.models import Digits, Dynamic, Frozen, Reused, Staged, Wrapping, true_values
from torchstat_cli.activations import create_feature_extractor, get_graph_node_names
from torchstat_cli.errors import ModelError, SelectionError

ENGINES = ["fx", "hooks", "runtime"]
X = torch.linspace(-1, 1, 12).reshape(3, 4)


@pytest.mark.parametrize("engine", [*ENGINES, "auto"])
def test_every_leaf_has_its_value_at_call_time(engine: Any) -> None:
    model = Staged().eval()
    expected = true_values(model, X)
    assert len(expected) == 5
    features = create_feature_extractor(model, list(expected), engine=engine)(X)
    assert list(features) == list(expected)
    for name, value in expected.items():
        assert torch.equal(features[name], value), name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("order", [["stage", "stage.1"], ["stage.1", "stage"]])
def test_nested_queries_both_get_the_last_blocks_output(engine: Any, order: list[str]) -> None:
    model = Staged().eval()
    expected = true_values(model, X, leaves_only=False)
    features = create_feature_extractor(model, order, engine=engine)(X)
    assert torch.equal(features["stage"], expected["stage.1"])
    assert torch.equal(features["stage.1"], expected["stage.1"])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_name_with_digits_means_the_module_that_bears_it(engine: Any) -> None:
    model = Digits().eval()
    expected = true_values(model, X)
    features = create_feature_extractor(model, ["conv", "conv_1", "conv_2", "conv_3"], engine=engine)(X)
    for name in ("conv", "conv_1", "conv_2"):
        assert torch.equal(features[name], expected[name])
    assert torch.equal(features["conv_3"], model.conv(expected["conv_1"]))  # conv's second call


@pytest.mark.parametrize("engine", ENGINES)
def test_every_call_of_a_reused_module(engine: Any) -> None:
    model = Reused().eval()
    one = model.layer(X)
    two = model.layer(one)
    three = model.layer(two)
    features = create_feature_extractor(model, ["layer", "layer_1", "layer_2", "twin"], engine=engine)(X)
    for name, value in {"layer": one, "layer_1": two, "layer_2": three, "twin": one}.items():
        assert torch.equal(features[name], value), name


def test_calls_by_index() -> None:
    model = Reused().eval()
    features = create_feature_extractor(model, ["layer[0]", "layer[-1]", "layer[:]"])(X)
    assert torch.equal(features["layer[-1]"], model(X))
    assert torch.equal(features["layer[0]"], model.layer(X))
    assert [tuple(value.shape) for value in features["layer[:]"]] == [(3, 4)] * 3
    with pytest.raises(SelectionError, match=r"no \[3\]"):
        create_feature_extractor(model, ["layer[3]"])(X)


@pytest.mark.parametrize(("kind", "index"), [("dict", "b"), ("dict", 1), ("dict", -1), ("list", 1)])
def test_elements_of_a_structured_output(kind: str, index: object) -> None:
    name = f"transformer[{index}]"
    features = create_feature_extractor(Wrapping(kind), ["transformer", name])(X)
    assert torch.equal(features[name], X + 2)
    assert type(features["transformer"]).__name__ == kind


def test_tuples_with_none_pass_through() -> None:
    for engine in ENGINES:
        value = create_feature_extractor(Wrapping("tuple"), ["transformer"], engine=engine)(X)["transformer"]  # type: ignore[arg-type]
        assert torch.equal(value[0], X + 1)
        assert value[1] is None


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_of_modules_are_those_at_call_time(engine: Any) -> None:
    model = Staged().eval()
    # The in-place ReLU overwrites its input right after it was given.
    expected = model.stage[0].linear(X)
    features = create_feature_extractor(model, ["stage.0.relu.input"], engine=engine)(X)
    assert torch.equal(features["stage.0.relu.input"], expected)


def test_patterns_mean_modules_and_operators_have_their_own_prefix() -> None:
    model = Staged().eval()
    for engine in ("fx", "auto"):
        features = create_feature_extractor(model, ["stage.*.relu", "type:Linear", "op:add"], engine=engine)(X)  # type: ignore[arg-type]
        assert set(features) == {
            *("stage.0.relu", "stage.1.relu", "stage.0.linear", "stage.1.linear", "head"),
            *("stage.0.add", "stage.1.add"),
        }


def test_an_untraceable_model_gets_another_engine() -> None:
    model = Dynamic().eval()
    nn.init.constant_(model.first.bias, 5.0)
    extractor = create_feature_extractor(model, ["first", "relu", "add"])
    assert extractor.engine == "runtime"
    features = extractor(X)
    first = model.first(X)
    assert torch.equal(features["first"], first)
    assert torch.equal(features["relu"], first.relu())
    assert torch.equal(features["add"], first.relu() + 1)
    assert create_feature_extractor(model, ["first"]).engine == "hooks"
    with pytest.raises(ModelError, match="cannot trace Dynamic"):
        create_feature_extractor(model, ["first"], engine="fx")


def test_nothing_after_the_last_requested_node_runs() -> None:
    def fail(*_: object) -> None:
        raise AssertionError("this module must not run")

    for model, name, engines in (
        (Dynamic().eval(), "first", ("auto", "hooks", "runtime")),
        (Staged().eval(), "stage.0", ("hooks", "runtime")),
    ):
        later = [module for path, module in model.named_modules() if path in ("second", "last", "stage.1", "head")]
        for module in later:
            module.forward = fail  # type: ignore[method-assign]
        for engine in engines:
            create_feature_extractor(model, [name], engine=engine)(X)  # type: ignore[arg-type]


def test_a_graph_drops_what_it_does_not_need_and_shares_the_rest() -> None:
    model = Staged().eval()
    extractor = create_feature_extractor(model, ["stage.0"])
    assert extractor.engine == "fx"
    assert not any(name.startswith(("head", "stage.1")) for name in extractor.state_dict())
    assert extractor.get_parameter("stage.0.linear.weight") is model.stage[0].linear.weight


def test_an_optional_argument_is_not_frozen_into_a_graph() -> None:
    class Optional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor, shift: torch.Tensor | None = None) -> torch.Tensor:
            return self.layer(x if shift is None else x + shift)

    extractor = create_feature_extractor(Optional(), ["layer"])
    assert extractor.engine == "hooks"
    assert not torch.equal(extractor(X)["layer"], extractor(X, X)["layer"])
    fixed = create_feature_extractor(Optional(), ["layer"], concrete_args={"shift": None})
    assert fixed.engine == "fx"
    assert torch.equal(fixed(X)["layer"], fixed.layer(X))


def test_an_unused_in_place_operation_keeps_its_effect() -> None:
    class Writing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            y.add_(1)
            return y.relu()

    extractor = create_feature_extractor(Writing(), ["mul", "relu"])
    assert extractor.engine == "fx"
    features = extractor(X)
    assert torch.equal(features["relu"], (X * 2 + 1).relu())
    assert torch.equal(features["mul"], X * 2)


def test_a_view_does_not_keep_its_base_alive() -> None:
    class Token(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x + 1)[:, 0]

    for engine in ("fx", "runtime"):
        value = create_feature_extractor(Token(), ["getitem"], engine=engine)(torch.zeros(2, 1000))["getitem"]  # type: ignore[arg-type]
        assert value.untyped_storage().nbytes() == 2 * 4


def test_copies_of_an_extractor_are_independent() -> None:
    model = Staged().eval()
    for engine in ("fx", "hooks"):
        extractor = create_feature_extractor(model, ["stage.0", "head"], engine=engine)  # type: ignore[arg-type]
        expected = extractor(X)
        for twin in (copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))):
            nn.init.zeros_(next(twin.parameters()))
            assert not torch.equal(twin(X)["stage.0"], expected["stage.0"])
            assert torch.equal(extractor(X)["stage.0"], expected["stage.0"])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_graph_can_be_scripted() -> None:
    extractor = create_feature_extractor(Staged().eval(), ["stage.0.linear", "head"])
    assert torch.equal(torch.jit.script(extractor)(X)["head"], extractor(X)["head"])


def test_modes_switch_graphs_and_need_no_common_names() -> None:
    class Moody(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sin() if self.training else x.cos()

    names = get_graph_node_names(Moody(), suppress_diff_warning=True)
    assert names == (["x", "sin"], ["x", "cos"])
    with pytest.warns(UserWarning, match="different to those obtained in eval mode"):
        get_graph_node_names(Moody())
    extractor = create_feature_extractor(
        Moody(), train_return_nodes={"sin": "out"}, eval_return_nodes={"cos": "out"}, suppress_diff_warning=True
    )
    assert torch.equal(extractor.train()(X)["out"], X.sin())
    assert torch.equal(extractor.eval()(X)["out"], X.cos())
    with pytest.raises(SelectionError, match="not present"):
        create_feature_extractor(Moody(), ["sin"], suppress_diff_warning=True)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_follows_the_mode(training: bool) -> None:
    extractor = create_feature_extractor(nn.Sequential(nn.Dropout(1.0)), ["0"]).train(training)
    assert bool(extractor(X + 2)["0"].eq(0).all()) is training


@pytest.mark.parametrize("traceable", [True, False])
@pytest.mark.parametrize("engine", ["auto", "fx"])
def test_the_model_comes_back_as_it_was(traceable: bool, engine: Any) -> None:
    model = Frozen(traceable).train()
    model.norm.eval()
    seen: list[int] = []
    model.register_forward_hook(lambda *_: seen.append(1))
    options = {"leaf_modules": [nn.Linear]}
    before = _state(model)
    calls = {kind: kind.__call__ for kind in (Frozen, nn.BatchNorm1d, nn.Module)}
    for act in (
        lambda: get_graph_node_names(model, options, engine=engine, example_inputs=X, suppress_diff_warning=True),
        lambda: create_feature_extractor(model, ["norm"], tracer_kwargs=options, engine=engine)(X),
        lambda: create_feature_extractor(model, ["nrm"], tracer_kwargs=options, engine=engine),
    ):
        try:
            act()
        except (ModelError, SelectionError):
            assert act or not traceable
        assert _state(model) == before
        assert options == {"leaf_modules": [nn.Linear]}
        assert all(kind.__call__ is call for kind, call in calls.items())


def _state(model: nn.Module) -> list[object]:
    return [
        [(path, module.training) for path, module in model.named_modules()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        {name: value.tolist() for name, value in model.state_dict().items()},
        sorted(vars(model)),
    ]


def test_user_hooks_make_auto_run_the_model_itself() -> None:
    model = Staged().eval()
    model.stage.register_forward_hook(lambda module, inputs, output: output * 2)
    extractor = create_feature_extractor(model, ["head"])
    assert extractor.engine == "hooks"
    assert torch.equal(extractor(X)["head"], model(X))


def test_names_of_an_untraceable_model_need_inputs_for_operators() -> None:
    model = Dynamic().eval()
    nn.init.constant_(model.first.bias, 5.0)
    with pytest.warns(UserWarning, match="only its modules are listed"):
        assert get_graph_node_names(model) == (["first", "second", "last"],) * 2
    names = get_graph_node_names(model, example_inputs=X)
    assert names == (["x", "first", "relu", "sum", "lt", "add", "second"],) * 2


def test_both_engines_list_the_same_names() -> None:
    model = Staged()
    assert get_graph_node_names(model, engine="fx") == get_graph_node_names(model, engine="runtime", example_inputs=X)


def test_gradients_arrive_with_the_backward_pass() -> None:
    model = Staged()
    extractor = create_feature_extractor(model, ["stage.0", "stage.0.grad", "head"])
    features = extractor(X)
    assert "stage.0.grad" not in features
    features["head"].sum().backward()
    leaf = features["stage.0"].detach().requires_grad_()
    model.head(model.stage[1](leaf)).sum().backward()
    torch.testing.assert_close(extractor.gradients()["stage.0.grad"], leaf.grad)
