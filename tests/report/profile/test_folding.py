from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from tests.report.profiles import TINY, module
from torchstat_cli.errors import UsageError
from torchstat_cli.records import SUMMED, ModuleMemory, ModuleRecord, Profile, UnknownOperator
from torchstat_cli.report import FORMATS, render
from torchstat_cli.report.profile.folding import fold
from torchstat_cli.report.profile.tree import branches
from torchstat_cli.report.profile.view import View, select


def model_of(*rows: ModuleRecord, containers: tuple[ModuleRecord, ...] = ()) -> Profile:
    sums = {column: sum(getattr(row, column) for row in rows) for column in SUMMED}
    return replace(TINY, rows=rows, containers=containers, total=replace(TINY.total, **sums), never_called=())


def layers(count: int, **fields: Any) -> tuple[ModuleRecord, ...]:
    given = {"params": 20, "madds": 30, "flops": 70, **fields}
    return tuple(module(f"layers.{index}", "Linear", **given) for index in range(count))


def shown(profile: Profile) -> list[tuple[str, int, int]]:
    return [(row.path, row.modules, row.flops) for row in fold(profile).profile.rows]


def test_more_than_four_equal_neighbors_fold_and_their_rows_carry_the_sum() -> None:
    assert shown(model_of(*layers(5))) == [("layers.0–4", 5, 350)]
    assert len(shown(model_of(*layers(4)))) == 4


def test_what_lies_inside_folds_with_it() -> None:
    rows = [
        module(f"blocks.{block}.{name}", kind, flops=flops)
        for block in range(6)
        for name, kind, flops in (("attn", "Attention", 100), ("mlp", "MLP", 10))
    ]
    containers = tuple(module(f"blocks.{block}", "Block") for block in range(6))
    folded = fold(model_of(*rows, containers=containers))
    assert [(row.path, row.modules, row.flops) for row in folded.profile.rows] == [
        ("blocks.0–5.attn", 6, 600),
        ("blocks.0–5.mlp", 6, 60),
    ]
    assert [(run.path, run.type, run.count, run.flops) for run in folded.runs] == [("blocks.0–5", "Block", 6, 110)]


def test_runs_inside_runs_multiply() -> None:
    rows = [module(f"layers.{layer}.experts.{expert}", "Expert", params=7) for layer in range(5) for expert in range(8)]
    (row,) = fold(model_of(*rows)).profile.rows
    assert (row.path, row.modules, row.params) == ("layers.0–4.experts.0–7", 40, 280)


@pytest.mark.parametrize(
    "other",
    [
        {"type": "Conv1d"},
        {"params": 21},
        {"madds": 31},
        {"flops": 71},
        {"calls": 2},
        {"trainable_params": 20},
        {"param_shapes": ((5, 4),)},
        {"input_shape": ((2, 4),)},
        {"output_shape": ((2, 4),)},
        {"shared_with": "head"},
    ],
)
def test_one_that_differs_divides_a_run(other: dict[str, Any]) -> None:
    first, odd = layers(11, param_shapes=((4, 5),))[:5], layers(11)[5]._replace(param_shapes=((4, 5),))
    last = layers(11, param_shapes=((4, 5),))[6:]
    profile = model_of(*first, odd._replace(**other), *last)
    assert [path for path, _, _ in shown(profile)] == ["layers.0–4", "layers.5", "layers.6–10"]


@pytest.mark.parametrize(
    "varying",
    [
        lambda index: {"input_shape": ((1, 4), (1, index))},  # a cache that grows along the layers
        lambda index: {"duration_s": 0.001 * index},
        lambda index: {"mem_read": index},
        lambda index: {"attrs": {"layer_idx": index}},
        lambda index: {"buffers": index},
    ],
)
def test_what_may_differ(varying: Any) -> None:
    profile = model_of(*(row._replace(**varying(index)) for index, row in enumerate(layers(6))))
    (row,) = fold(profile).profile.rows
    for column in SUMMED:
        assert getattr(row, column) == getattr(profile.total, column)


def test_an_operator_without_formula_divides_a_run() -> None:
    profile = replace(model_of(*layers(11)), unknown=(UnknownOperator("my.op", 1, ("layers.5",)),))
    assert [path for path, _, _ in shown(profile)] == ["layers.0–4", "layers.5", "layers.6–10"]
    everywhere = tuple(f"layers.{index}" for index in range(11))
    profile = replace(profile, unknown=(UnknownOperator("my.op", 11, everywhere),))
    assert select(profile, View()).bounded == {"layers.0–10"}


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (["0", "1", "2", "3", "4"], "0–4"),
        (["4", "3", "2", "1", "0"], "0–4"),
        (["8", "9", "10", "11", "12"], "8–12"),
        (["0", "2", "4", "6", "8"], "0…8"),
        (["block1", "block2", "block3", "block4", "block5"], "block1–5"),
        (["a", "b", "c", "d", "e"], "a…e"),
        (["q", "k1", "k2", "v", "o"], "q…o"),
    ],
)
def test_names_of_runs(names: list[str], label: str) -> None:
    assert shown(model_of(*(module(name, "Linear") for name in names))) == [(label, 5, 0)]


def test_memory_of_a_run_is_its_highest_peak_and_all_that_it_keeps() -> None:
    rows = (row._replace(live=ModuleMemory(10 * i, 10 * i + 7, 3)) for i, row in enumerate(layers(5)))
    assert fold(model_of(*rows)).profile.rows[0].live == ModuleMemory(0, 47, 15)


def test_modules_nested_deeper_than_python_recurses() -> None:
    path = ".".join(["a"] * 3000)
    assert fold(model_of(module(path, "Linear", flops=3))).profile.rows[0].flops == 3


class Scaled(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.reshape(2, 6)


def test_shapes_of_parameters_come_from_the_model_and_survive_saving() -> None:
    model = nn.Sequential(*(Scaled(3, 4) for _ in range(5)), *(Scaled(4, 3) for _ in range(5)))
    report = ms.profile(model, torch.zeros(2, 6))
    assert report.rows[0].param_shapes == ((3, 4),)
    assert [path for path, _, _ in shown(report)] == ["0–4", "5–9"]
    from torchstat_cli.report.profile.saved import from_json

    assert shown(from_json(report.to_json())) == shown(report)


def test_tables_fold_and_data_stays_whole() -> None:
    profile = model_of(*layers(6))
    paths = {name: render(profile, name).count("layers.3") for name in ("csv", "json")}
    assert paths == {"csv": 1, "json": 1}
    for name in ("table", "markdown"):
        text = render(profile, name)
        assert "layers.0–5" in text
        assert "6 × Linear" in text
        assert "layers.3" not in text


@pytest.mark.parametrize("view", [View(unfold=True), View(sort="flops"), View(filter="layers*")])
def test_what_shows_every_row(view: View) -> None:
    assert len(select(model_of(*layers(6)), view).rows) == 6


@pytest.mark.parametrize("depth", [0, 1, 2, None])
@pytest.mark.parametrize("by", ["module", "group"])
def test_folded_rows_sum_to_the_totals(depth: int | None, by: Any) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Sequential(*(nn.Sequential(nn.Linear(8, 8)) for _ in range(7))))
    profile = ms.profile(model, torch.zeros(2, 8), memory=True)
    selection = select(profile, View(by=by, depth=depth), data=by == "group")
    for column in SUMMED:
        assert sum(getattr(row, column) for row in selection.rows) == getattr(profile.total, column)
    assert len(selection.rows) == {0: 1, 1: 2, 2: 2, None: 2}[depth]


def test_by_group_gives_folded_rows_to_data_files() -> None:
    heading, row = render(model_of(*layers(6)), "csv", View(by="group")).splitlines()
    values = dict(zip(heading.split(","), row.split(","), strict=True))
    assert (values["path"], values["modules"], values["params"], values["params_each"]) == (
        "layers.0–5",
        "6",
        "120",
        "20",
    )
    report = ms.profile(nn.Sequential(*(nn.Linear(4, 4) for _ in range(5))), torch.zeros(1, 4))
    assert list(report.to_pandas("group")["params_each"]) == [20]


def test_json_by_group_adds_the_groups_to_the_whole_report() -> None:
    import json

    report = json.loads(render(model_of(*layers(6)), "json", View(by="group")))
    assert len(report["rows"]) == 6
    assert [(group["path"], group["modules"], group["flops"]) for group in report["groups"]] == [("layers.0–5", 6, 420)]


def test_what_one_costs_stands_beside_the_sum() -> None:
    selection = select(model_of(*layers(6)), View())
    names = [column.name for column in selection.columns]
    assert names[names.index("flops") + 1] == "flops_each"
    assert "each 20 params, 30 MAdds, 70 FLOPs" in render(model_of(*layers(6)))
    assert "flops_each" not in [column.name for column in select(model_of(*layers(4)), View()).columns]


def test_the_tree_holds_a_run_once_and_each_level_adds_up() -> None:
    profile = fold(model_of(*layers(6), module("head", "Linear", flops=5))).profile
    lines = [(branch.depth, branch.row.path, branch.row.modules, branch.row.flops) for branch in branches(profile)]
    assert lines == [(0, "", 1, 425), (1, "layers", 1, 420), (2, "layers.0–5", 6, 420), (1, "head", 1, 5)]


@pytest.mark.parametrize("name", FORMATS)
def test_a_group_cannot_be_unfolded(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be unfolded"):
        render(TINY, name, View(by="group", unfold=True))
