"""The Python surface: profile, stat, formula, load_model; by hand where there is a number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, Custom, linear
from torchstat_cli.calculators import user_registry
from torchstat_cli.errors import (
    FormulaError,
    ForwardError,
    InputError,
    ModelstatError,
    PlacementError,
    SpecError,
    StrictError,
    UsageError,
)
from torchstat_cli.tasks.registry import operator_formulas


@pytest.fixture
def own_formulas() -> Iterator[None]:
    """Formulas that a test registers are forgotten afterwards."""
    registry = user_registry()
    before = dict(registry._entries)
    yield
    registry._entries.clear()
    registry._entries.update(before)


# profile


@pytest.mark.parametrize(
    "shape", [(2, 4), [2, 4], [(2, 4)], torch.Size([2, 4]), tuple(np.array([2, 4])), [torch.Size([2, 4])]]
)
def test_input_shapes_of_every_spelling(shape: Any) -> None:
    report = ms.profile(linear(), input_shape=shape)
    assert (report.total.madds, report.provenance.inputs[0].shape) == (LINEAR, (2, 4))


def test_several_input_shapes() -> None:
    report = ms.profile(nn.Bilinear(4, 3, 5, bias=False), input_shape=[(2, 4), (2, 3)])
    assert [entry.shape for entry in report.provenance.inputs] == [(2, 4), (2, 3)]
    assert report.total.params == 60


def test_dummy_input_has_the_models_dtype() -> None:
    report = ms.profile(linear().half(), input_shape=(2, 4))
    assert report.provenance.inputs[0].dtype == "float16"


def test_report_says_where_it_comes_from() -> None:
    report = ms.profile("sample_models.mlp:mlp", input_shape=(3, 784))
    assert (report.provenance.spec, report.provenance.class_name) == ("sample_models.mlp:mlp", "Sequential")
    assert (report.provenance.placement, report.provenance.mode) == ("meta", "eval")
    live = ms.profile(linear(), ROWS, mode="train").provenance
    assert (live.spec, live.resolved, live.mode) == (None, "torch.nn.modules.linear:Linear", "train")


def test_depth_folds_rows() -> None:
    model = nn.Sequential(nn.Sequential(linear(), nn.ReLU()), linear())
    report = ms.profile(model, ROWS, depth=1)
    assert {row.path: row.madds for row in report.rows} == {"0": LINEAR, "1": LINEAR}
    assert [row.path for row in ms.profile(model, ROWS, depth=0).rows] == [""]


_MODES: list[bool] = []  # a global: what a model's own function closes over comes back as it was


def test_mode_sets_the_flags_of_the_run_only() -> None:
    _MODES.clear()
    model = Custom(lambda self, x: _MODES.append(self.training) or self.inner(x), inner=linear()).eval()
    for mode in ("train", "eval"):
        ms.profile(model, ROWS, mode=mode)  # type: ignore[arg-type]
    assert _MODES == [True, False]
    assert not model.training


def test_model_on_meta_takes_real_inputs() -> None:
    assert ms.profile(nn.Linear(4, 4, device="meta"), ROWS).total.madds == LINEAR


@pytest.mark.parametrize(
    ("error", "words", "arguments"),
    [
        (UsageError, "depth=-1 is no depth", {"depth": -1}),
        (UsageError, "depth='2' is no depth", {"depth": "2"}),
        (UsageError, "no mode 'test'", {"mode": "test"}),
        (UsageError, "torch knows no device 'gpu'", {"device": "gpu"}),
        (UsageError, "the model lies on cpu, not on cuda", {"device": "cuda"}),
        (UsageError, "no attention backend 'slow'", {"attention": "slow"}),
        (UsageError, "given both ready and as input_shape", {"input_shape": (2, 4)}),
        (UsageError, r"kwargs=\[1\] is no mapping", {"kwargs": [1]}),
        (ForwardError, "unexpected keyword argument 'y'", {"kwargs": {"y": 1}}),
    ],
)
def test_arguments_that_make_no_sense(error: type[ModelstatError], words: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(error, match=words) as caught:
        ms.profile(linear(), ROWS, **arguments)
    assert caught.value.hint


@pytest.mark.parametrize(
    "shape", ["2,4", 4, (), [], (2.0, 4), (True, 4), (2, (4,)), [None], [(2, 4), "x"], np.zeros(2)]
)
def test_input_shapes_that_are_none(shape: Any) -> None:
    with pytest.raises(InputError, match="neither a shape nor a list of shapes"):
        ms.profile(linear(), input_shape=shape)


def test_negative_size() -> None:
    with pytest.raises(InputError, match="negative size -4"):
        ms.profile(linear(), input_shape=(2, -4))


@pytest.mark.parametrize("model", [None, nn.Linear, lambda x: x, 3, {"weight": torch.zeros(1)}])
def test_models_that_are_none(model: Any) -> None:
    with pytest.raises(SpecError, match="neither a module nor a model spec"):
        ms.profile(model, ROWS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((torch.zeros(2, 5),), r"forward failed in '0' on input 2x5: RuntimeError"),
        ((torch.zeros(2, 4, dtype=torch.int64),), "dtype"),
        ((), "missing 1 required positional argument"),
        ((ROWS, ROWS), "takes 2 positional arguments but 3 were given"),
        (("text",), "must be Tensor, not str"),
        ((None,), "must be Tensor, not NoneType"),
    ],
)
def test_inputs_that_do_not_fit(given: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ForwardError, match=words):
        ms.profile(nn.Sequential(linear()), *given)


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("x" * 1_000_000), "ValueError: " + "x" * 1000 + " …"),
        (ValueError("\x1b[2J\u202eb"), "ValueError: \\x1b[2J\\u202eb"),
        (MuteError(), "MuteError: MuteError"),
    ],
)
def test_message_of_a_model_is_cut_and_cleaned(error: Exception, words: str) -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> None:
        raise error

    with pytest.raises(ForwardError) as caught:
        ms.profile(Custom(forward), ROWS)
    assert caught.value.message == f"forward failed in the model itself on input 2x4: {words}"
    assert caught.value.__cause__ is error


def test_sentence_of_torch_is_kept_whole() -> None:
    with pytest.raises(ForwardError) as caught:
        ms.profile(nn.Conv2d(3, 4, 3), torch.zeros(2, 5, 16, 16), device="cpu")
    said = caught.value.__cause__
    assert len(str(said)) > 100
    assert caught.value.message.endswith(str(said))


def test_values_that_are_not_there_on_meta() -> None:
    """``device="meta"`` forbids a real run, so the number rests on a stated assumption, which strict refuses."""
    model = Custom(lambda self, x: self.inner(x)[x[:, 0].exp().sin() > 0], inner=linear())
    unknown = torch.zeros(2, 4, device="meta")
    report = ms.profile(model, unknown, device="meta")
    assert report.total.madds == LINEAR
    assert len(report.provenance.assumptions) == 1
    with pytest.raises(StrictError, match="the numbers rest on assumptions"):
        ms.profile(model, unknown, device="meta", strict=True)


def test_strict_refuses_unknown_operators() -> None:
    with torch.library._scoped_library("modelstat_test", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
        model = Custom(lambda self, x: torch.ops.modelstat_test.twice(self.inner(x)), inner=linear())
        report = ms.profile(model, ROWS)
        assert [(entry.op, entry.calls) for entry in report.unknown] == [("modelstat_test.twice", 1)]
        assert report.total.lower_bound
        with pytest.raises(StrictError, match=r"no formula for modelstat_test\.twice \(1 calls\)"):
            ms.profile(model, ROWS, strict=True)


# formula


@pytest.mark.usefixtures("own_formulas")
def test_own_formula_counts() -> None:
    with torch.library._scoped_library("modelstat_test", "DEF") as library:
        library.define("fused(Tensor x) -> Tensor")
        library.impl("fused", lambda x: x * 2, "CompositeExplicitAutograd")
        model = Custom(lambda self, x: torch.ops.modelstat_test.fused(x))

        @ms.formula("modelstat_test::fused")
        def fused(op: ms.OpRecord) -> ms.Cost:
            """3 per element."""
            return ms.Cost(flops=3 * op.output.numel)

        report = ms.profile(model, ROWS, strict=True)
        assert (report.total.flops, report.unknown) == (24, ())
        assert "modelstat_test.fused" in [row[0] for row in operator_formulas()]


@pytest.mark.usefixtures("own_formulas")
@pytest.mark.parametrize("name", ["", "linear", "aten::", "aten::linear"])
def test_formulas_that_are_refused(name: str) -> None:
    with pytest.raises(FormulaError, match=r"no operator name|two claims"):
        ms.formula(name)(lambda op: ms.Cost())


# stat


def test_stat_prints_the_table_and_returns_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    """One sample of 3 x 8 x 8 through 4 filters of 3 x 3 x 3: 4 * 6 * 6 * 27 MAdds."""
    report = ms.stat(nn.Conv2d(3, 4, 3), (3, 8, 8))
    out, err = capsys.readouterr()
    assert report.total.madds == 3888
    assert report.provenance.inputs[0].shape == (1, 3, 8, 8)
    assert out == f"{report}\n"
    assert "3.888 k" in out
    assert err == ""


@pytest.mark.parametrize("size", [3, "3,8,8", (3.0, 8, 8), None])
def test_stat_of_a_size_that_is_none(size: Any) -> None:
    with pytest.raises(InputError, match="is no shape"):
        ms.stat(nn.Conv2d(3, 4, 3), size)


# load_model


def test_load_model_builds_for_real_with_arguments() -> None:
    model = ms.load_model("sample_models.mlp:mlp", depth=1)
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())
    assert ms.load_model("mlp", device="meta").get_parameter("0.weight").is_meta


@pytest.mark.parametrize(
    ("spec", "arguments", "error"),
    [
        ("nope", {}, SpecError),
        ("sample_models.mlp:mlp", {"depht": 1}, SpecError),
        ("mlp", {"device": "gpu"}, UsageError),
        ("mlp", {"device": "cuda:99"}, PlacementError),
        ("sample_models.mlp:missing", {}, SpecError),
        ("no_such_module:mlp", {}, SpecError),
    ],
)
def test_models_that_cannot_be_loaded(spec: str, arguments: dict[str, Any], error: type[ModelstatError]) -> None:
    with pytest.raises(error) as caught:
        ms.load_model(spec, **arguments)
    assert caught.value.hint


def test_dtype_and_arguments_reach_the_model_of_a_spec() -> None:
    whole = ms.profile("sample_models/vit_tiny")
    half = ms.profile("sample_models/vit_tiny", dtype="bf16")
    assert 2 * half.total.param_bytes == whole.total.param_bytes
    assert ms.profile("sample_models/vit_tiny", dtype=torch.bfloat16).total == half.total
    assert ms.profile("sample_models/resnet18", arguments={"num_classes": 10}).total.params == 11_689_512 - 990 * 513


@pytest.mark.parametrize("given", [{"dtype": "bf16"}, {"arguments": {"depth": 2}}])
def test_a_live_model_takes_neither_dtype_nor_arguments(given: dict[str, Any]) -> None:
    with pytest.raises(ms.ModelstatError, match="built already"):
        ms.profile(nn.Linear(2, 2), torch.zeros(1, 2), **given)


def test_a_saved_report_is_read_back(tmp_path: Path) -> None:
    report = ms.profile(nn.Linear(2, 2), torch.zeros(1, 2))
    report.save(tmp_path / "report.json")
    read = ms.load_report(tmp_path / "report.json")
    assert (read.rows, read.total) == (report.rows, report.total)
    with pytest.raises(ms.ModelstatError, match="cannot read the report"):
        ms.load_report(tmp_path / "none.json")
