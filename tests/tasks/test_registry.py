"""Own operators: formulas of the user, of torch's register_flop_formula and of installed packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry, register_flop_formula

import torchstat_cli as ms
from torchstat_cli.calculators import user_registry
from torchstat_cli.errors import FormulaError
from torchstat_cli.records import Cost, OpRecord
from torchstat_cli.tasks import registry


@pytest.fixture(scope="module")
def library() -> Iterator[Any]:
    """A third party's operators: a product with a plain argument and a default, and one with two results."""
    library = torch.library.Library("coverage_test", "DEF")
    for name in ("claimed", "registered", "shipped", "silent", "wrong"):
        library.define(f"{name}(Tensor a, Tensor b, int times, float scale=1.0, *, bool flip=False) -> Tensor")
        library.impl(name, lambda a, b, times, scale=1.0, *, flip=False: a @ b * times, "CompositeExplicitAutograd")
    yield torch.ops.coverage_test
    library._destroy()


class Calls(nn.Module):
    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.operator(a, b, 3)  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    formulas = user_registry()
    before = dict(formulas._entries)
    yield
    formulas._entries.clear()
    formulas._entries.update(before)
    registry.load_shipped_formulas.cache_clear()


INPUTS = torch.zeros(2, 5), torch.zeros(5, 7)


def test_a_claimed_operator(library: Any) -> None:
    @ms.formula("coverage_test::claimed")
    def claimed(op: OpRecord) -> Cost:
        return ms.Cost(madds=op.output.numel * op.tensor("a").shape[-1], flops=1000)

    report = ms.profile(Calls(library.claimed), *INPUTS)
    assert (report.total.madds, report.total.flops, report.unknown) == (2 * 7 * 5, 1000, ())
    with pytest.raises(FormulaError, match=r"two claims on the operator coverage_test\.claimed"):
        ms.formula("coverage_test.claimed")(claimed)


def test_what_torch_was_told_is_honoured(library: Any) -> None:
    seen: list[Any] = []

    @register_flop_formula(library.registered)
    def registered(a_shape: Any, b_shape: Any, times: int, out_shape: Any = None) -> int:
        seen.append((a_shape, b_shape, times, out_shape))
        return 2 * times * int(a_shape[0] * a_shape[1] * b_shape[1])

    try:
        report = ms.profile(Calls(library.registered), *INPUTS)
    finally:
        del flop_registry[library.registered]
    assert seen == [((2, 5), (5, 7), 3, (2, 7))]
    assert (report.total.madds, report.total.flops, report.unknown) == (3 * 70, 6 * 70, ())
    sources = {entry[0]: entry[3] for entry in _formulas()}
    assert sources["coverage_test.registered"] == "register_flop_formula"
    assert sources["aten.mm"] != "register_flop_formula"  # torch's own entries fill no gap


def _formulas() -> list[tuple[str, str, str, str]]:
    from torchstat_cli.tasks.registry import operator_formulas

    return operator_formulas()


def test_without_a_formula_it_stays_unknown(library: Any) -> None:
    report = ms.profile(Calls(library.silent), *INPUTS)
    assert [(unknown.op, unknown.calls) for unknown in report.unknown] == [("coverage_test.silent", 1)]
    assert report.total.lower_bound


def test_a_wrong_registration_is_named(library: Any) -> None:
    register_flop_formula(library.wrong)(lambda *shapes, out_shape=None: 1.5)
    try:
        with pytest.raises(FormulaError, match=r"coverage_test\.wrong"):
            ms.profile(Calls(library.wrong), *INPUTS)
    finally:
        del flop_registry[library.wrong]


def _ship(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str, value: str = "shipped_formulas") -> None:
    (folder / "shipped_formulas.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "shipped_formulas", raising=False)
    point = metadata.EntryPoint("mine", value, registry.GROUP)
    vars(point)["dist"] = SimpleNamespace(name="mypackage")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.GROUP else [])
    registry.load_shipped_formulas.cache_clear()


CLAIM = """
import torchstat_cli as ms

@ms.formula("coverage_test::shipped")
def shipped(op):
    return ms.Cost(madds=11, flops=22)
"""


def test_a_package_ships_its_formulas(library: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _ship(monkeypatch, tmp_path, CLAIM)
    for _ in range(2):  # loaded once
        report = ms.profile(Calls(library.shipped), *INPUTS)
        assert (report.total.madds, report.total.flops) == (11, 22)


def test_or_a_function_that_claims_them(library: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "import torchstat_cli as ms\ndef claim(): ms.formula('coverage_test::shipped')(lambda op: ms.Cost(5, 10))"
    _ship(monkeypatch, tmp_path, code, "shipped_formulas:claim")
    assert ms.profile(Calls(library.shipped), *INPUTS).total.madds == 5


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1 / 0", r"the formulas of mypackage cannot be loaded: ZeroDivisionError: division by zero"),
        (
            CLAIM.replace("coverage_test::shipped", "aten::mm"),
            r"cannot be used: two claims on .* aten\.mm",
        ),
        (CLAIM.replace("coverage_test::shipped", "nothing"), r"'nothing' is no operator name"),
    ],
)
def test_a_package_with_bad_formulas_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, words: str
) -> None:
    _ship(monkeypatch, tmp_path, code)
    with pytest.raises(FormulaError, match=words):
        ms.profile(nn.Linear(2, 2), torch.zeros(1, 2))
