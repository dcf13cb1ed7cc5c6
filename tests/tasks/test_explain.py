"""`explain` shows the calls behind a profile's numbers, and they add up to them, also in a training step."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import torchstat_cli as ms
from torchstat_cli.errors import UsageError

COLUMNS = ("madds", "flops", "mem_read", "mem_write")


class Mixed(nn.Module):
    """Every family of formulas that a model meets often, some of it outside leaf modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, groups=1), nn.BatchNorm2d(8), nn.ReLU())
        self.norm = nn.LayerNorm(6)
        self.memory = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, 4)
        self.again = self.head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.norm(self.stem(images).mean(1))
        mixed = functional.scaled_dot_product_attention(features, features, features)
        joined = torch.einsum("bij,bkj->bik", mixed, features)
        states, _ = self.memory(functional.gelu(joined @ mixed))
        return self.again(self.head(states) @ self.head.weight).softmax(-1)


IMAGES = torch.zeros(2, 3, 8, 8)


@pytest.mark.parametrize("options", [{}, {"train": True, "optimizer": "adamw"}], ids=["forward", "training"])
@pytest.mark.parametrize("path", ["", "stem", "stem.0", "norm", "memory", "head"])
def test_the_calls_of_a_module_sum_to_its_numbers(path: str, options: dict[str, Any]) -> None:
    report, found = ms.profile(Mixed(), IMAGES, **options), ms.explain(Mixed(), path, IMAGES, **options)
    expected = report.at(path)
    assert {column: found.total(column) for column in COLUMNS} == {name: getattr(expected, name) for name in COLUMNS}
    phases = {call.phase for call in found.everything}
    assert phases == ({"forward", "backward", "optimizer"} if options else {None})


@pytest.mark.parametrize("options", [{}, {"train": True}], ids=["forward", "training"])
def test_the_calls_of_an_operator_sum_to_its_numbers(options: dict[str, Any]) -> None:
    report = ms.profile(Mixed(), IMAGES, **options)
    for operator in report.operators:
        found = ms.explain(Mixed(), operator.op, IMAGES, **options)
        assert found.kind == "operator"
        assert {name: found.total(name) for name in COLUMNS} == {name: getattr(operator, name) for name in COLUMNS}
        assert sum(call.calls for call in found.everything) == operator.calls


def test_the_text_of_a_convolution() -> None:
    # 2 x 8 outputs of 6 x 6, each a sum of 3 channels x 3 x 3
    text = str(ms.explain(Mixed(), "stem.0", IMAGES))
    assert "stem.0: Conv2d, called 1 time" in text
    assert "216 (weight) + 8 (bias) = 224" in text
    assert "MAdds     576 (output) × 3 × 3 × 3 (weight axes 1, 2, 3) = 15,552" in text
    assert "FLOPs     2 × 15,552 (MAdds) + 576 (output) = 31,680" in text
    assert "sum       MAdds 15,552 (15.55 k), FLOPs 31,680 (31.68 k)" in text


def test_names() -> None:
    model = Mixed()
    assert ms.explain(model, "again", IMAGES).what == "head"  # one module, counted under its first name
    assert ms.explain(model, "einsum", IMAGES).what == "aten.einsum"
    assert ms.explain(model, "aten::einsum", IMAGES).what == "aten.einsum"
    assert ms.explain(model, "(root)", IMAGES).type == "Mixed"
    assert model.head.weight.device.type == "cpu"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("stem.O", "the model has no module 'stem.O' and ran no such operator; did you mean"),
        ("aten.gru", "this run has no call of 'aten.gru'"),
        ("stem.0.weight", "has no module 'stem.0.weight'"),
        ("stem..0", "did you mean stem.0"),
        ("\x1b[31m", "has no module"),
        (7, "7 is no name"),
    ],
)
def test_wrong_names(what: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        ms.explain(Mixed(), what, IMAGES)
    assert message in caught.value.message
    assert "\x1b" not in str(caught.value)


def test_tied_parameters_name_the_module_that_counts_them() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    assert ms.explain(model, "1", torch.zeros(1, 4)).parameters[0].counted_in == "0"


def test_an_unknown_operator_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.matrix_exp(x)

    report = ms.profile(Odd(), torch.zeros(3, 3))
    if not report.unknown:
        pytest.skip("this operator has a formula by now")
    assert f"no formula for {report.unknown[0].op}" in str(ms.explain(Odd(), "", torch.zeros(3, 3)))


def test_a_formula_of_the_user() -> None:
    @torch.library.custom_op("explain_tests::doubled", mutates_args=())
    def doubled(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    doubled.register_fake(torch.empty_like)

    @ms.formula("explain_tests::doubled")
    def cost(op: ms.OpRecord) -> ms.Cost:
        """1 per output element."""
        return ms.Cost(flops=op.output.numel)

    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return doubled(x)

    text = str(ms.explain(Twice(), "explain_tests::doubled", torch.zeros(4, 5)))
    assert "formula   1 per output element" in text
    assert "FLOPs     20 (output) = 20" in text


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    from torchstat_cli.cli.main import main

    assert main(["explain", "sample_models/mlp", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tool"] == "modelstat explain"
    assert document["totals"]["flops"] == ms.profile("sample_models/mlp").total.flops
    linear = next(call for call in document["calls"] if call["operator"] == "aten.linear")
    assert linear["numbers"]["madds"]["terms"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sample_models/mlp", "blok"), "no module 'blok'"),
        (("sample_models/mlp", "0", "--depth", "1"), "No such option"),
        (("sample_models/mlp", "0", "--optimizer", "adamw"), "--optimizer only means something in a training step"),
        (("sample_models/mlp", "0", "--dtype", "int8"), "is no floating dtype"),
        (("sample_models/mlp", "0", "--format", "csv"), "is not one of"),
        (("sample_models/mlp", "0", "--input", "1,3"), ""),
        (("sample_models/nope", "0"), "has no model 'nope'"),
        (("sample_models/mlp", "0", "--output", "/nowhere/at/all"), "cannot write"),
        (("sample_models/mlp", "0", "1"), "unexpected extra argument"),
        ((), "Missing argument"),
    ],
)
def test_misuse(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    from torchstat_cli.cli.main import main

    assert main(["explain", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "this is a bug" not in error
