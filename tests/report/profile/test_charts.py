from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.report.profiles import TINY, module, renamed
from torchstat_cli.errors import UsageError
from torchstat_cli.records import SUMMED
from torchstat_cli.report.profile.charts import METRICS, MOST_NODES, memory_picture, picture, trace


def sums_below(areas: dict[str, list[object]]) -> dict[object, int]:
    sums: dict[object, int] = {}
    for parent, value in zip(areas["parents"], areas["values"], strict=True):
        sums[parent] = sums.get(parent, 0) + int(str(value))
    return sums


@pytest.mark.parametrize("metric", METRICS)
def test_areas_add_up_to_the_area_around_them(metric: str) -> None:
    areas = trace(TINY, metric)
    values = dict(zip(areas["ids"], areas["values"], strict=True))
    for parent, value in sums_below(areas).items():
        assert value == values.get(parent, values["root"])
    total = TINY.total.mem_read + TINY.total.mem_write if metric == "mem_total" else getattr(TINY.total, metric)
    assert values["root"] == total


def test_a_large_model_is_joined_to_what_a_browser_draws() -> None:
    rows = tuple(module(f"a{i}.b{j}", "Linear", flops=i * j + 1) for i in range(60) for j in range(60))
    flops = sum(row.flops for row in rows)
    areas = trace(replace(TINY, rows=rows, total=replace(TINY.total, flops=flops)), "flops")
    assert len(areas["ids"]) <= MOST_NODES
    assert len(set(areas["ids"])) == len(areas["ids"])
    assert sums_below(areas)["root"] == flops
    assert any("others" in label for label in areas["labels"])


def test_equal_neighbors_are_one_area() -> None:
    rows = tuple(module(f"layers.{index}", "Linear", flops=1) for index in range(6))
    total = replace(TINY.total, **{name: sum(getattr(row, name) for row in rows) for name in SUMMED})
    labels = trace(replace(TINY, rows=rows, total=total), "flops")["labels"]
    assert labels == ["(root)", "layers", "0–5 (6 ×)"]


def test_nothing_to_divide() -> None:
    rows = (module("a", "ReLU"), module("b", "ReLU"))
    areas = trace(replace(TINY, rows=rows), "params")
    assert (areas["ids"], areas["values"]) == (["root"], [0])


def test_names_are_no_markup() -> None:
    labels = trace(renamed("<b>bold</b>"), "flops")["labels"]
    assert "&lt;b&gt;bold&lt;/b&gt;" in labels


def test_memory_over_time_sums_to_the_peak_and_names_its_phases() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    memory = ms.profile(model, torch.zeros(4, 8), train=True, memory=True).memory
    assert memory is not None
    drawn = memory_picture(memory)
    *bands, total = drawn["data"]
    assert max(total["y"]) == pytest.approx(memory.peak.total)
    assert [sum(values) for values in zip(*(band["y"] for band in bands), strict=True)] == pytest.approx(total["y"])
    texts = [note["text"] for note in drawn["layout"]["annotations"]]
    assert texts[1:] == ["forward 1", "backward 1", "optimizer 1", "forward 2", "backward 2", "optimizer 2"]


@pytest.mark.parametrize(
    ("kind", "metric", "message"),
    [
        ("pie", "flops", "no picture named 'pie'"),
        ("icicle", "x", "no areas for 'x'"),
        ("memory", "x", "not watch memory"),
    ],
)
def test_pictures_that_do_not_exist(kind: str, metric: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        picture(TINY, kind, metric)
