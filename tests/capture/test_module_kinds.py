"""What users build: every kind of module is counted, or refused in one clear sentence; nothing is silently zero."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, Custom, linear, quietly
from torchstat_cli.errors import ForwardError


def rows(report: ms.Report) -> dict[str, int]:
    return {row.path: row.madds for row in report.rows if row.madds}


# Structure


def test_module_that_calls_itself() -> None:
    def forward(self: Custom, x: Tensor, depth: int = 3) -> Tensor:
        return self(self.inner(x), depth - 1)[:depth] if depth else self.inner(x)

    model = Custom(forward, inner=linear())
    report = ms.profile(model, ROWS)
    assert report.at("inner").calls == 4
    whole = ms.profile(nn.Sequential(model), ROWS, device="cpu").containers[1]
    assert (whole.path, whole.calls, whole.input_shape, whole.output_shape) == ("0", 4, ((2, 4),), ((1, 4),))
    assert rows(report) == {"inner": 4 * LINEAR}


def test_shared_module_appears_once_with_all_its_calls() -> None:
    shared = linear()
    report = ms.profile(nn.Sequential(shared, nn.ReLU(), shared), ROWS)
    assert rows(report) == {"0": 2 * LINEAR}
    assert (report.at("0").calls, report.total.params) == (2, 20)


def test_module_made_in_forward_works_in_its_makers_name() -> None:
    def forward(self: Custom, x: Tensor) -> Tensor:
        self.late = nn.Linear(4, 5)
        return self.late(self.inner(x))

    model = Custom(forward, inner=linear())
    report = ms.profile(model, ROWS)
    assert rows(report) == {"inner": LINEAR, "": 2 * 4 * 5}
    assert report.total.params == 20
    assert not hasattr(model, "late")


def test_module_without_parameters() -> None:
    report = ms.profile(nn.ReLU(), ROWS)
    assert (report.total.params, report.total.flops) == (0, 8)


def test_hooks_bypassing_call() -> None:
    report = ms.profile(Custom(lambda self, x: self.inner.forward(x), inner=linear()), ROWS)
    assert rows(report) == {"": LINEAR}
    assert report.never_called == ()  # its weights were used


def test_generator_is_run_to_its_end() -> None:
    def forward(self: Custom, x: Tensor) -> Any:
        return (self.inner(x) for _ in range(3))

    assert ms.profile(Custom(forward, inner=linear()), ROWS).total.madds == 3 * LINEAR


# Hooks of the user


def test_hook_that_replaces_an_output() -> None:
    model = nn.Sequential(linear(), nn.Linear(8, 3))
    model[0].register_forward_hook(lambda module, args, output: torch.cat([output, output], -1))
    report = ms.profile(model, ROWS)
    assert report.at("0").output_shape == ((2, 8),)
    assert rows(report) == {"0": LINEAR, "1": 2 * 8 * 3}


def test_hook_that_replaces_an_input() -> None:
    model = nn.Sequential(linear(), linear())
    model[1].register_forward_pre_hook(lambda module, args: (args[0][:1],))
    assert rows(ms.profile(model, ROWS)) == {"0": LINEAR, "1": LINEAR // 2}


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_hook_that_raises_is_named_after_its_module(register: str) -> None:
    def explode(*args: Any) -> None:
        raise ValueError("boom")

    model = nn.Sequential(linear(), linear())
    getattr(model[1], register)(explode)
    with pytest.raises(ForwardError, match="forward failed in '1' on input 2x4: ValueError: boom"):
        ms.profile(model, ROWS)
    assert list(model.named_buffers()) == []


def test_exception_that_the_model_catches() -> None:
    def forward(self: Custom, x: Tensor) -> Tensor:
        try:
            self.inner(x[:, :2])
        except RuntimeError:
            return self.other(x)
        raise AssertionError("a linear layer of 4 took 2 columns")

    report = ms.profile(Custom(forward, inner=linear(), other=linear()), ROWS)
    assert rows(report) == {"other": LINEAR}


# Wrappers


def test_compiled_model_is_measured_on_its_eager_original() -> None:
    report = ms.profile(quietly(torch.compile, nn.Sequential(linear(), nn.ReLU()), backend="eager"), ROWS)
    assert rows(report) == {"0": LINEAR}


def test_compiled_child_runs_eagerly() -> None:
    model = nn.Sequential(quietly(torch.compile, linear(), backend="eager"), nn.ReLU())
    assert ms.profile(model, ROWS).total.madds == LINEAR
    with ms.instrument(model) as capture:
        model(ROWS)
    assert capture.profile().total.madds == LINEAR


def test_data_parallel_is_measured_on_its_module() -> None:
    model = nn.DataParallel(nn.Sequential(linear(), nn.ReLU()))
    assert rows(ms.profile(model, ROWS)) == {"0": LINEAR}


def test_torchscript_child_is_counted_in_its_parents_name() -> None:
    model = nn.Sequential(linear(), quietly(torch.jit.script, linear()))
    report = ms.profile(model, ROWS)
    assert rows(report) == {"": LINEAR, "0": LINEAR}
    assert report.total.params == 40


def test_torchscript_model_is_counted_as_a_whole() -> None:
    report = ms.profile(quietly(torch.jit.script, nn.Sequential(linear(), nn.ReLU())), ROWS)
    assert rows(report) == {"": LINEAR}
    assert report.total.params == 20


# Parameters


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_lazy_modules_are_initialised_in_a_copy(device: str) -> None:
    """Linear 4 -> 5: 25 parameters, 2 * 4 * 5 MAdds; batch norm: 10 parameters, 10 buffers and a counter."""
    model = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d())
    report = ms.profile(model, ROWS, device=device)
    assert (report.total.params, report.total.buffers, report.total.madds) == (35, 11, 40)
    assert [row.type for row in report.rows] == ["Linear", "BatchNorm1d"]
    assert type(model[0]) is nn.LazyLinear
    assert type(model[0].weight) is nn.parameter.UninitializedParameter


def test_lazy_module_that_cannot_be_initialised() -> None:
    with pytest.raises(ForwardError, match="the model has lazy modules, and the call that initialises them failed"):
        ms.profile(nn.Sequential(nn.LazyConv2d(4, 3)), torch.zeros(7))


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrised_weights(norm: Any) -> None:
    model = nn.Sequential(norm(linear()))
    report = ms.profile(model, ROWS)
    assert report.total.params == sum(parameter.numel() for parameter in model.parameters())
    assert report.at("0").madds >= LINEAR
    assert report.unknown == ()


def test_pruned_weights() -> None:
    """The mask of 16 elements is a buffer."""
    model = linear()
    prune.l1_unstructured(model, "weight", 0.5)
    report = ms.profile(model, ROWS)
    assert (report.total.params, report.total.buffers, report.total.madds) == (20, 16, LINEAR)


def test_old_weight_norm_counts_its_two_parts() -> None:
    """4 lengths, 16 directions, 4 biases."""
    report = ms.profile(quietly(nn.utils.weight_norm, linear()), ROWS)
    assert (report.total.params, report.total.madds) == (24, LINEAR)


def test_copied_and_pickled_models_count_the_same() -> None:
    model = nn.Sequential(linear(), nn.ReLU())
    total = ms.profile(model, ROWS).total
    assert ms.profile(copy.deepcopy(model), ROWS).total == total
    assert ms.profile(pickle.loads(pickle.dumps(model)), ROWS).total == total


def test_model_that_differentiates_in_its_forward_pass() -> None:
    """Forward, its gradient by the input, and the second use of the layer: three products."""

    def forward(self: Custom, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.inner(x).tanh().sum(), x, create_graph=True)
        return self.inner(gradient)

    model = Custom(forward, inner=linear())
    for device in ("meta", "cpu"):
        assert ms.profile(model, ROWS, device=device).total.madds == 3 * LINEAR
    assert model.inner.weight.grad is None
