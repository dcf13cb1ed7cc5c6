"""What reports say of memory and training: JSON, summary, columns, picture."""

from __future__ import annotations

import json
from dataclasses import replace

import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.records import CLASSES, MemoryProfile, Moment
from torchstat_cli.report.profile.json_parts import thinned
from torchstat_cli.report.profile.timeline import timeline


def moment(index: int, nbytes: int) -> Moment:
    return Moment(index, (nbytes, *(0,) * (len(CLASSES) - 1)), "layer", "aten.mm")


def report() -> ms.Report:
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    return ms.profile(model, torch.zeros(3, 8), memory=True, train=True, optimizer="adam")


def test_a_thinned_timeline_keeps_its_peak() -> None:
    moments = [moment(index, 100 if index == 77 else index % 7) for index in range(1000)]
    kept = thinned(moments, 10)
    assert len(kept) == 10
    assert max(kept, key=lambda m: m.total).index == 77
    assert thinned(moments[:5], 10) == moments[:5]


def test_json_holds_memory_and_training() -> None:
    found = report()
    data = json.loads(found.to_json())
    assert found.memory is not None
    assert data["totals"]["peak"] == data["memory"]["peak"] == found.memory.peak.total
    assert sum(data["memory"]["by_class"].values()) == data["memory"]["peak"]
    assert data["memory"]["not_modelled"]
    moments = data["memory"]["timeline"]["moments"]
    assert data["memory"]["timeline"]["columns"] == ["index", *CLASSES, "module", "op"]
    assert max(sum(row[1 : 1 + len(CLASSES)]) for row in moments) == data["memory"]["peak"]
    assert {(part["step"], part["phase"]) for part in data["training"]["phases"]} == {
        (step, phase) for step in (1, 2) for phase in ("forward", "backward", "optimizer")
    }
    assert data["rows"][0]["training"]["forward_madds"] == 0 or data["rows"][0]["path"] != ""
    assert "live" in data["rows"][-1]


def test_a_plain_report_has_none_of_it() -> None:
    data = json.loads(ms.profile(nn.Linear(2, 2), torch.zeros(1, 2)).to_json())
    assert not {"memory", "training", "generation", "attention"} & set(data)
    assert not {"live", "training"} & set(data["rows"][0])


def test_the_summary_names_the_peak() -> None:
    text = str(report())
    for words in (
        "of tensor memory",
        "optimizer adam",
        "optimizer state",
        "allocator rounding",
        "bwd FLOPs",
        "peak within",
    ):
        assert words in text.replace("\n", " ").replace("  ", " ")
    assert "process memory" not in text


def test_the_picture_has_a_band_per_class_that_is_there() -> None:
    found = report()
    assert found.memory is not None
    picture = timeline(found.memory)
    held = [any(m.live[place] for m in found.memory.timeline) for place in range(len(CLASSES))]
    assert picture.count("<polygon") == sum(held)
    assert picture in found._repr_html_()
    flat = replace(found.memory, timeline=(moment(0, 0),), peak=moment(0, 0))
    assert isinstance(flat, MemoryProfile)
    assert timeline(flat) == ""


def test_the_picture_names_its_peak_as_the_summary_does() -> None:
    moments = (moment(0, 9), moment(1, 5))
    start = replace(moments[0], path="", op="")
    memory = MemoryProfile(start, 1, "forward", (), (), (start, moments[1]), "auto")
    assert "peak 9 B at the start in (root)" in timeline(memory)


def test_a_saved_report_reads_back() -> None:
    from torchstat_cli.report.profile.saved import from_json

    found = report()
    assert from_json(found.to_json()).total.peak == found.total.peak
