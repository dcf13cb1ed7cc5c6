"""Tensors that a model makes in its forward: a live run makes them anew, a graph that is asked for keeps them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.libraries import import_timm, import_torchvision
from torchstat_cli.activations import create_feature_extractor, get_graph_node_names

X = torch.linspace(-2, 2, 12).reshape(3, 4)
SHARED = torch.tensor([1.0, 2.0, 3.0, 4.0])


class Made(nn.Module):
    """A linear layer, and a sum or product with a tensor that ``make`` gives."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.make = make

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x - self.make())


class Inside(nn.Module):
    """The same in a part that a trace goes through."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Made(lambda: torch.tensor([0.5, 0.4, 0.3, 0.2]))
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.part(x) * torch.arange(4))


class FrozenNorm(nn.Module):
    """Batch norm by hand out of buffers, as detection models have it."""

    def __init__(self) -> None:
        super().__init__()
        for name, value in (("weight", 2.0), ("bias", 1.0), ("running_mean", 0.5), ("running_var", 4.0)):
            self.register_buffer(name, torch.full((4,), value))
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return self.linear(x * scale + (self.bias - self.running_mean * scale))


class Weighted(nn.Module):
    """Multiplies by a buffer plus one."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(4))
        self.linear = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x * (self.factor + 1))


class Registering(nn.Module):
    """A buffer that the first call registers."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "positions"):
            self.register_buffer("positions", torch.arange(4.0), persistent=False)
        return self.linear(x + self.positions)


class Parametric(nn.Module):
    """A parameter that the first call makes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "offset"):
            self.offset = nn.Parameter(torch.arange(4.0))
        return self.linear(x + self.offset)


class Counting(nn.Module):
    """A buffer that every call replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.linear = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return self.linear(x * self.calls)


class Positions(nn.Module):
    """Gives what depends on no input: made anew, or a buffer."""

    def __init__(self, *, kept: bool) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(4.0) if kept else None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(4.0) if self.table is None else self.table


class Positioned(nn.Module):
    def __init__(self, *, kept: bool) -> None:
        super().__init__()
        self.positions = Positions(kept=kept)
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x + self.positions(x))


class ByMode(nn.Module):
    """Another tensor in each mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x + (torch.ones(4) if self.training else torch.full((4,), 9.0)))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "tensor": lambda: Made(lambda: torch.tensor([0.5, 0.4, 0.3, 0.2])),
    "arange": lambda: Made(lambda: torch.arange(4)),
    "random": lambda: Made(lambda: torch.rand(4)),
    "global": lambda: Made(lambda: SHARED),
    "computed": lambda: Made(lambda: (SHARED * 2).flip(0).cumsum(0)),
    "inside": Inside,
    "frozen norm": FrozenNorm,
    "buffer plus one": Weighted,
    "registered buffer": Registering,
    "registered parameter": Parametric,
    "both modes": ByMode,
    "a part that makes it": lambda: Positioned(kept=False),
}


def by_hooks(model: nn.Module, name: str) -> Tensor:
    """What a plain hook that clones sees of one call of a copy of ``model``."""
    seen: list[Tensor] = []
    model = copy.deepcopy(model)
    model.get_submodule(name).register_forward_hook(lambda module, args, output: seen.append(output.clone()))
    with torch.no_grad():
        model(X)
    return seen[0]


def state_of(model: nn.Module) -> list[Any]:
    return [
        (sorted(vars(module)), list(module._buffers), list(module._parameters), set(module._non_persistent_buffers_set))
        for module in model.modules()
    ]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("training", [True, False])
def test_auto_runs_the_model(kind: str, training: bool) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]().train(training)
    before = state_of(model)
    extractor = create_feature_extractor(model, ["linear"])
    assert extractor.engine == "hooks"
    assert state_of(model) == before
    torch.manual_seed(1)
    expected = by_hooks(model, "linear")
    torch.manual_seed(1)
    with torch.no_grad():
        assert torch.equal(extractor(X)["linear"], expected)


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "random"])
@pytest.mark.parametrize("options", [{"engine": "fx"}, {"compat": "torchvision"}], ids=["fx", "torchvision"])
def test_a_graph_that_is_asked_for_keeps_them(kind: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]().eval()
    before = state_of(model)
    extractor = create_feature_extractor(model, ["linear"], **options)
    assert extractor.engine == "fx"
    assert state_of(model) == before
    expected = by_hooks(model, "linear")
    with torch.no_grad():
        for copied in (extractor, copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))):
            assert torch.equal(copied(X)["linear"], expected)
            assert torch.equal(copied(X)["linear"], expected)


def test_each_mode_keeps_its_own() -> None:
    extractor = create_feature_extractor(ByMode(), ["linear"], engine="fx")
    for copied in (extractor, copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))):
        assert torch.equal(copied.train()(X)["linear"], X + 1)
        assert torch.equal(copied.eval()(X)["linear"], X + 9)


def test_a_live_run_follows_the_state_and_a_graph_does_not() -> None:
    model = Weighted().eval()
    live = create_feature_extractor(model, ["linear"])
    frozen = create_feature_extractor(model, ["linear"], engine="fx")
    assert torch.equal(live(X)["linear"], X * 2)
    assert torch.equal(frozen(X)["linear"], X * 2)
    model.load_state_dict({"factor": torch.full((4,), 5.0)})
    assert torch.equal(live(X)["linear"], X * 6)
    assert torch.equal(frozen(X)["linear"], X * 2)


def test_a_buffer_that_is_replaced_at_every_call() -> None:
    model = Counting().eval()
    extractor = create_feature_extractor(model, ["linear"])
    assert model.calls == 0
    for call in (1, 2, 3):
        assert torch.equal(extractor(X)["linear"], X * call)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("engine", ["auto", "fx", "hooks"])
def test_a_part_whose_output_depends_on_nothing(kept: bool, engine: Any) -> None:
    extractor = create_feature_extractor(Positioned(kept=kept).eval(), ["positions", "linear"], engine=engine)
    assert torch.equal(extractor(X)["positions"], torch.arange(4.0))


def test_a_buffer_alone_is_no_constant() -> None:
    assert create_feature_extractor(Positioned(kept=True), ["linear"]).engine == "fx"


def test_names_count_operators_on_constants_as_a_run_does() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            shift = (torch.arange(4.0) + 1).view(1, 4)
            return (x + shift).view(4, 3) * 2

    model = Named().eval()
    names = get_graph_node_names(model)[1]
    assert names == ["x", "add_1", "view_1", "mul"]
    assert get_graph_node_names(model, engine="runtime", example_inputs=X)[1] == [
        "x", "add", "view", "add_1", "view_1", "mul",
    ]  # fmt: skip
    for engine in ("auto", "fx"):
        values = create_feature_extractor(model, ["add_1", "view_1"], engine=engine)(X)
        assert torch.equal(values["add_1"], X + torch.tensor([1.0, 2.0, 3.0, 4.0]))
        assert values["view_1"].shape == (4, 3)
    assert torch.equal(create_feature_extractor(model, ["add"])(X)["add"], torch.tensor([1.0, 2.0, 3.0, 4.0]))


@pytest.mark.libraries
class TestLibraries:
    @pytest.mark.parametrize("kind", MODELS)
    @pytest.mark.parametrize("training", [True, False])
    def test_values_are_frozen_as_in_torchvision(self, kind: str, training: bool) -> None:
        import_torchvision()
        from torchvision.models import feature_extraction

        theirs, ours = (MODELS[kind]().train(training) for _ in range(2))
        ours.load_state_dict(theirs.state_dict())
        torch.manual_seed(1)
        expected = feature_extraction.create_feature_extractor(theirs, ["linear"])
        torch.manual_seed(1)
        extractor = create_feature_extractor(ours, ["linear"], compat="torchvision")
        torch.manual_seed(2)
        with torch.no_grad():
            assert torch.equal(extractor(X)["linear"], expected(X)["linear"])

    @pytest.mark.parametrize("options", [{}, {"engine": "fx"}, {"compat": "torchvision"}])
    def test_swin(self, options: dict[str, Any]) -> None:
        timm = import_timm()
        torch.manual_seed(0)
        model = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, window_size=7).eval()
        image = torch.randn(1, 3, 56, 56)
        extractor = create_feature_extractor(
            model, ["layers.1.blocks.1.mlp.fc2", "head.fc"], suppress_diff_warning=True, **options
        )
        assert extractor.engine == ("fx" if options else "hooks")
        with torch.no_grad():
            assert torch.equal(extractor(image)["head.fc"], model(image))
        assert not [name for name in vars(model) if "constant" in name]
