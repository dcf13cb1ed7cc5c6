"""What users build: every kind of module is counted, or refused in one clear sentence; nothing is silently zero."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, Custom, linear
from torchstat_cli.errors import ForwardError, InputError


def quietly(make: Any, *args: Any, **kwargs: Any) -> Any:
    """What torch makes with a deprecation warning that is no concern of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args, **kwargs)


def rows(report: ms.Report) -> dict[str, int]:
    return {row.path: row.madds for row in report.rows if row.madds}


# Structure


def test_module_that_calls_itself() -> None:
    def forward(self: Custom, x: Tensor, depth: int = 3) -> Tensor:
        return self(self.inner(x), depth - 1) if depth else self.inner(x)

    report = ms.profile(Custom(forward, inner=linear()), ROWS)
    assert report.at("inner").calls == 4
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


# Values in and out


def test_many_inputs_outgrow_the_metadata_buffer() -> None:
    model = nn.Sequential(Custom(lambda self, tensors: torch.stack(tensors)))
    report = ms.profile(model, [torch.zeros(2, 3) for _ in range(100)])
    assert report.at("0").input_shape == ((2, 3),) * 100
    assert report.at("0").output_shape == ((100, 2, 3),)


@dataclasses.dataclass
class Output:
    hidden: Tensor
    rest: list[Tensor]


@pytest.mark.parametrize(
    ("wrap", "shapes"),
    [
        (lambda y: None, ()),
        (lambda y: y, ((2, 4),)),
        (lambda y: (y, None, 3), ((2, 4),)),
        (lambda y: {"a": y, "b": [y.sum()]}, ((2, 4), ())),
        (lambda y: Output(y, [y[:1]]), ((2, 4), (1, 4))),
        (lambda y: "done", ()),
    ],
)
def test_outputs_of_every_kind(wrap: Any, shapes: tuple[tuple[int, ...], ...]) -> None:
    model = nn.Sequential(Custom(lambda self, x: wrap(self.inner(x)), inner=linear()))
    report = ms.profile(model, ROWS)
    found = next(row for row in (*report.rows, *report.containers) if row.path == "0")
    assert found.output_shape == shapes
    assert report.total.madds == LINEAR


def test_keywords_only() -> None:
    model = Custom(lambda self, *, x, flag=True: self.inner(x), inner=linear())
    report = ms.profile(model, kwargs={"x": ROWS, "flag": False})
    assert report.total.madds == LINEAR
    assert [(entry.name, entry.shape) for entry in report.provenance.inputs] == [("x", (2, 4))]


def test_complex_numbers_cost_four_real_products() -> None:
    """(a + bi)(c + di): 4 MAdds."""
    model = nn.Linear(4, 4, bias=False, dtype=torch.complex64)
    assert ms.profile(model, ROWS.to(torch.complex64)).total.madds == 4 * LINEAR


def test_integers_and_booleans_are_no_flops() -> None:
    assert ms.profile(nn.Embedding(10, 4), torch.tensor([[1, 2, 3]])).total.flops == 0
    model = Custom(lambda self, mask, x: torch.where(mask & mask, self.inner(x), x), inner=linear())
    assert ms.profile(model, ROWS > 0, ROWS).total.madds == LINEAR


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_sparse_product(device: str) -> None:
    """4 stored elements times 4 columns."""
    model = Custom(lambda self, eye, x: torch.sparse.mm(eye, self.inner(x)), inner=linear())
    report = ms.profile(model, torch.eye(4).to_sparse(), torch.zeros(4, 4), device=device)
    assert report.total.madds == 2 * LINEAR + 4 * 4
    assert report.unknown == ()


def ragged(layout: torch.layout) -> Tensor:
    """2 and 3 rows of 4."""
    nested: Tensor = quietly(torch.nested.nested_tensor, [torch.zeros(2, 4), torch.zeros(3, 4)], layout=layout)
    return nested


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_jagged_tensor_counts_its_rows(device: str) -> None:
    """5 rows of 4 x 4, nothing padded."""
    report = ms.profile(nn.Sequential(linear()), ragged(torch.jagged), device=device)
    assert report.total.madds == 5 * 4 * 4
    assert report.at("0").input_shape == ((5, 4),)


def test_strided_nested_tensor_is_refused() -> None:
    with pytest.raises(InputError, match=r"(?s)strided layout.*torch\.jagged"):
        ms.profile(linear(), ragged(torch.strided))


@pytest.mark.parametrize(
    ("kind", "gates", "given"),
    [
        (kind, gates, given)
        for kind, gates in ((nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1))
        for given in ("constant", "input")
    ],
)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_packed_sequences_count_only_real_steps(kind: Any, gates: int, given: str, device: str) -> None:
    """3 + 5 = 8 steps through 6 cells with 4 inputs and 6 hidden values each."""

    def forward(self: Custom, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        lengths = torch.tensor([3, 5]) if lengths is None else lengths
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]

    model = Custom(forward, rnn=kind(4, 6, batch_first=True))
    lengths = [torch.tensor([3, 5])] if given == "input" else []
    report = ms.profile(model, torch.zeros(2, 5, 4), *lengths, device=device)
    assert report.total.madds == 8 * gates * 6 * (4 + 6)
    assert report.provenance.assumptions == ()


def test_packed_sequence_as_input() -> None:
    packed = pack_padded_sequence(torch.zeros(2, 5, 4), torch.tensor([5, 3]), batch_first=True)
    assert ms.profile(nn.LSTM(4, 6, batch_first=True), packed).total.madds == 8 * 4 * 6 * (4 + 6)


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
