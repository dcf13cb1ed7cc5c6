from __future__ import annotations

from dataclasses import replace

from tests.report.profiles import PROVENANCE, TINY, timed, with_unknown
from torchstat_cli.records import InputRecord, MemoryProfile, Moment, Profile, Share, UnknownOperator
from torchstat_cli.report.profile.summary import summarize
from torchstat_cli.report.profile.view import Units


def said(profile: Profile, units: Units = "auto") -> dict[str, str]:
    return {note.label: note.text for note in summarize(profile, units)}


def test_costs_with_units() -> None:
    notes = said(TINY)
    assert notes["params"] == "1.525 k, 1.301 k trainable, 224 frozen, 5.957 KiB"  # 6100 / 1024
    assert notes["buffers"] == "0"
    assert notes["MAdds (MACs)"] == "9.472 k, what papers, timm and torchvision call GFLOPs"
    assert notes["traffic"] == "12.37 KiB, 9.293 KiB read, 3.078 KiB written"
    assert notes["intensity"] == "1.56 FLOP/byte"  # 19732 / 12668
    assert notes["convention"].startswith("1 MAdd = 2 FLOPs")


def test_costs_raw() -> None:
    notes = said(TINY, "raw")
    assert notes["params"] == "1525, 1301 trainable, 224 frozen, 6100 B"
    assert notes["traffic"] == "12668 B, 9516 B read, 3152 B written"


def test_peak_and_duration_only_when_known() -> None:
    assert not {"peak", "duration"} & set(said(TINY))
    assert said(timed())["duration"] == "8.00 ms"
    assert said(timed(), "raw")["duration"] == "0.008 s"
    assert said(replace(TINY, total=replace(TINY.total, peak=2048)))["peak"] == "2.000 KiB of tensor memory"


def test_origin() -> None:
    notes = said(TINY)
    assert notes["model"] == "tiny → sample_models.tiny:tiny (TinyNet)"
    assert notes["input"] == "2x3x4x4 float32"
    assert notes["run"] == "on meta, eval mode, torch 2.13.0"
    assert notes["never called"] == "aux"


def test_a_live_model_without_inputs() -> None:
    origin = replace(PROVENANCE, spec=None, resolved="TinyNet", inputs=(), assumptions=("sizes read as 1",))
    notes = said(replace(TINY, provenance=origin))
    assert (notes["model"], notes["input"], notes["assumed"]) == ("TinyNet (TinyNet)", "none", "sizes read as 1")


def test_named_inputs() -> None:
    origin = replace(PROVENANCE, inputs=(InputRecord("mask", (), "bool"), InputRecord(None, (1, 2), "int64")))
    assert said(replace(TINY, provenance=origin))["input"] == "mask: () bool, 1x2 int64"


def test_unknown_operators_warn_last_and_mark_the_totals() -> None:
    notes = summarize(with_unknown(), "auto")
    assert notes[-1].is_warning
    assert notes[-1].text == "no formula for mylib.op (2 calls, in features.1)"
    assert said(with_unknown())["FLOPs"] == "≥19.73 k"


def test_long_lists_are_cut() -> None:
    unknown = UnknownOperator("mylib.op", 1, tuple(f"layer{index}" for index in range(9)))
    profile = replace(with_unknown(), unknown=(unknown,))
    expected = "no formula for mylib.op (1 call, in layer0, layer1, layer2, layer3, layer4, layer5, and 3 more)"
    assert said(profile)["lower bound"] == expected


def test_the_root_has_a_name() -> None:
    profile = replace(with_unknown(), unknown=(UnknownOperator("mylib.op", 1, ("",)),))
    assert said(profile)["lower bound"] == "no formula for mylib.op (1 call, in (root))"


def test_a_model_without_params() -> None:
    total = replace(TINY.total, params=0, trainable_params=0, param_bytes=0)
    assert said(replace(TINY, total=total))["params"] == "0, 0 B"


def test_the_peak_is_named_like_every_module() -> None:
    live = (0, 0, 0, 2048, 0, 0, 0)
    start = Moment(0, live, "", "")
    memory = MemoryProfile(start, 1, "forward", (), (Share("a\x1b[2J", "activation", 2048),), (start,), "auto")
    notes = said(replace(TINY, memory=memory))
    assert notes["peak"] == "2.000 KiB of tensor memory, at the start in (root)"
    assert notes["most of it"] == r"2.000 KiB activations of a\x1b[2J"
    inside = replace(memory, peak=Moment(3, live, "a\nb", "aten.mm"))
    assert said(replace(TINY, memory=inside))["peak"] == r"2.000 KiB of tensor memory, at aten.mm in a\nb"
