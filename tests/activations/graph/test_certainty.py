"""`auto` takes a graph only where it is the model's program; everything else runs live, as the model does."""

from __future__ import annotations

import functools
import gc
import random
import types
import warnings
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.libraries import import_torchvision
from torchstat_cli.activations import create_feature_extractor

X = torch.randn(3, 4)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.change(self.first(x)))

    def change(self, x: Tensor) -> Tensor:
        return x


class AsksTorch(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * 2 if torch.is_tensor(x) else x


class AsksForInstance(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * 2 if isinstance(x, torch.Tensor) else x


class AsksForType(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * 2 if type(x) is torch.Tensor else x


class AsksForClass(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * 2 if x.__class__ is Tensor else x


class AsksForTypeAndMore(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * 2 if type(x) is torch.Tensor and x.shape[0] > 0 else x


class AsksForAttribute(Base):
    def change(self, x: Tensor) -> Tensor:
        return x if hasattr(x, "tensors") else x * 2


class AsksForList(Base):
    def change(self, x: Tensor) -> Tensor:
        return x if isinstance(x, list) else x * 2


class Matches(Base):
    def change(self, x: Tensor) -> Tensor:
        match x:
            case torch.Tensor():
                return x * 2
            case _:
                return x


class Dispatches(Base):
    def change(self, x: Tensor) -> Tensor:
        return _dispatched(x)


@functools.singledispatch
def _dispatched(x: object) -> object:
    return x


@_dispatched.register
def _(x: torch.Tensor) -> Tensor:
    return x * 2


class AsksUnderAnotherName(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * 2 if _given(x) and _mode() else x


_given, _mode = torch.is_tensor, torch.is_grad_enabled


class Catches(Base):
    def change(self, x: Tensor) -> Tensor:
        try:
            return x * float(x.shape[0])
        except TypeError:
            return x


COUNT = [0]


class CountsOutside(Base):
    def change(self, x: Tensor) -> Tensor:
        COUNT[0] += 1
        return x * COUNT[0]


class AsksForGradients(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * 2 if torch.is_grad_enabled() else x


class AsksByHelper(Base):
    def change(self, x: Tensor) -> Tensor:
        return _helper(x)


def _helper(x: Tensor) -> Tensor:
    return x * 2 if isinstance(x, Tensor) else x


class Draws(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * float(torch.rand(()))


class DrawsInPython(Base):
    def change(self, x: Tensor) -> Tensor:
        return x * random.random()


class Counts(Base):
    calls = 0

    def change(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class CountsInABuffer(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def change(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class ReadsABuffer(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("on", torch.ones(()))

    def change(self, x: Tensor) -> Tensor:
        return x * 2 if self.on > 0 else x


class FrozenNorm(Base):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def change(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def train(self, mode: bool = True) -> FrozenNorm:
        super().train(mode)
        self.norm.eval()
        return self


KINDS = [
    Catches, AsksForClass, AsksForTypeAndMore, AsksForAttribute, AsksForList, Matches, Dispatches, AsksUnderAnotherName,
    AsksTorch, AsksForInstance, AsksForType, AsksForGradients, AsksByHelper, Draws, DrawsInPython, Counts,
    CountsInABuffer, ReadsABuffer, FrozenNorm,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_trace_would_freeze_runs_live(kind: type[Base]) -> None:
    model = kind().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    extractor = create_feature_extractor(model, ["last"])
    assert extractor.engine == "hooks"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            random.seed(1)
            torch.manual_seed(1)
            values = extractor(X)["last"]
            if isinstance(model, (Counts, CountsInABuffer)):
                model.calls -= 1
            random.seed(1)
            torch.manual_seed(1)
            assert torch.equal(values, model(X))


def test_a_models_own_train_is_kept() -> None:
    extractor = create_feature_extractor(FrozenNorm(), ["last"])
    extractor.train()
    mean = extractor.model.norm.running_mean.clone()
    extractor(X)
    assert torch.equal(extractor.model.norm.running_mean, mean)


@pytest.mark.parametrize("patch", ["method", "partial"])
@pytest.mark.parametrize("where", ["root", "container"])
def test_a_patched_forward_runs_live(patch: str, where: str) -> None:
    model = nn.Sequential(Base(), nn.Linear(2, 2)).eval()
    target = model if where == "root" else model[0]
    plain = type(target).forward

    def forward(self: nn.Module, x: Tensor) -> Tensor:
        return plain(self, x * 10)

    target.forward = types.MethodType(forward, target) if patch == "method" else functools.partial(forward, target)
    extractor = create_feature_extractor(model, ["1"])
    assert extractor.engine == "hooks"
    assert torch.equal(extractor(X)["1"], model(X))


def test_backward_hooks_on_containers_fire() -> None:
    model, fired = nn.Sequential(Base(), nn.Linear(2, 2)), []
    model[0].register_full_backward_hook(lambda *_: fired.append(1))
    create_feature_extractor(model, ["1"])(X.clone().requires_grad_())["1"].sum().backward()
    assert fired == [1]


def test_a_counter_outside_of_the_model_runs_live() -> None:
    model = CountsOutside().eval()
    extractor = create_feature_extractor(model, ["last"])
    assert extractor.engine == "hooks"
    value = extractor(X)["last"]
    COUNT[0] -= 1
    assert torch.equal(value, model(X))


def test_functions_that_forward_closes_over_are_looked_into() -> None:
    def made(change: Callable[[Tensor], Tensor]) -> Base:
        class Closing(Base):
            def forward(self, x: Tensor) -> Tensor:
                return self.last(change(self.first(x)))

        return Closing().eval()

    def counted(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return x * calls

    calls = 0
    for change in (lambda x: x * 2 if torch.is_grad_enabled() else x, counted):
        model = made(change)
        assert create_feature_extractor(model, ["last"]).engine == "hooks"
    assert create_feature_extractor(made(lambda x: x * 2), ["last"]).engine == "fx"


def replace_a_layer(model: Base) -> None:
    model.first = nn.Linear(4, 4)


def set_a_flag(model: Base) -> None:
    model.double = True


def change_a_setting(model: Base) -> None:
    model.settings["scale"] = 3.0


def patch_the_forward(model: Base) -> None:
    model.forward = lambda x: model.last(x)


def hook_the_model(model: Base) -> None:
    model.change_me.register_forward_hook(lambda module, args, output: output + 1)


class Settings(Base):
    double = False  # a class's attribute, until an instance has its own

    def __init__(self) -> None:
        super().__init__()
        self.settings = {"scale": 1.0}
        self.change_me = Passing()

    def change(self, x: Tensor) -> Tensor:
        return self.change_me(x * (2 if self.double else 1) * self.settings["scale"] + OFFSETS["all"])


class Passing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.neg()


OFFSETS = {"all": 0.0}


def set_a_global(model: Base) -> None:
    OFFSETS["all"] += 1.0


CHANGES: list[Callable[[Settings], None]] = [
    replace_a_layer, set_a_flag, change_a_setting, patch_the_forward, hook_the_model, set_a_global
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_changes_after_construction_are_followed(change: Callable[[Settings], None]) -> None:
    model = Settings().eval()
    extractor = create_feature_extractor(model, ["last"])
    assert extractor.engine == "fx"
    assert torch.equal(extractor(X)["last"], model(X))
    change(model)
    with pytest.warns(UserWarning, match="was changed after this extractor was built"):
        assert torch.equal(extractor(X)["last"], model(X))
    assert extractor.engine == "hooks"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(extractor(X)["last"], model(X))


def test_what_is_no_change_keeps_the_graph() -> None:
    model = Settings().eval()
    extractor = create_feature_extractor(model, ["last"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_state_dict(Settings().state_dict())
        assert torch.equal(extractor(X)["last"], model(X))
        extractor.train()
        extractor.double().float()
        extractor(X)["last"].sum().backward()
        extractor.eval()
        assert torch.equal(extractor(X)["last"], model(X))
    assert extractor.engine == "fx"


def test_a_dropped_model_does_not_stay_for_its_graph() -> None:
    model = Settings()
    extractor, last = create_feature_extractor(model, ["first"]), weakref.ref(model.last)
    del model
    gc.collect()
    assert last() is None
    assert extractor(X)["first"].shape == (3, 4)


def test_under_inference_mode_every_engine_hands_out_ordinary_tensors() -> None:
    for engine in ("fx", "hooks", "runtime"):
        extractor = create_feature_extractor(Base().eval(), ["first"], engine=engine)
        with torch.inference_mode():
            value = extractor(X)["first"]
        assert not value.is_inference()


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"]
)
def test_usual_models_have_a_graph(name: str) -> None:
    models = import_torchvision().models
    model = getattr(models, name)().eval()
    assert create_feature_extractor(model, ["classifier" if hasattr(model, "classifier") else "fc"]).engine == "fx"
