from __future__ import annotations

from dataclasses import replace

from tests.gate.profiles import blocks, linear, profile, row
from torchstat_cli.gate.baseline.snapshot import module_paths, snapshot_of
from torchstat_cli.records import InputRecord


def test_what_is_remembered() -> None:
    snapshot = snapshot_of(profile(linear("head", 4, 3), torch="2.13.1+cpu", unknown=("b.op", "a.op")))
    assert snapshot.totals == {"params": 15, "trainable": 15, "flops": 27, "madds": 12, "memory": 12}
    assert snapshot.conditions.input == ("1x8:float32",)
    assert (snapshot.conditions.mode, snapshot.conditions.rules, snapshot.conditions.attention) == ("eval", 1, "auto")
    assert snapshot.conditions.torch == "2.13"
    assert snapshot.unknown == ("a.op", "b.op")
    assert snapshot.modules == {}


def test_keyword_and_scalar_inputs() -> None:
    plain = profile(linear("head", 4, 3))
    inputs = (InputRecord("ids", (1, 16), "int64"), InputRecord("scale", (), "float32"))
    conditions = snapshot_of(replace(plain, provenance=replace(plain.provenance, inputs=inputs))).conditions
    assert conditions.input == ("ids=1x16:int64", "scale=():float32")


def test_comparability() -> None:
    conditions = snapshot_of(profile(linear("head", 4, 3))).conditions
    assert conditions.differences(replace(conditions, torch="2.14")) == ()
    assert conditions.differences(replace(conditions, input=("1x9:float32",), rules=2)) == ("input", "rules")
    assert conditions.differences(replace(conditions, mode="train", attention="math")) == ("mode", "attention")


def test_a_selected_module_counts_with_all_below_it() -> None:
    rows = (
        row("encoder", "Encoder", "direct", params=1),
        *(layer._replace(path=f"encoder.{layer.path}") for layer in blocks(2, 4, 8)),
        linear("head", 4, 3),
    )
    # blocks: 4·8 + 8 = 40 and 8·4 + 4 = 36 params each
    snapshot = snapshot_of(profile(*rows), globs=("encoder", "encoder.*", "encoder.blocks.0", "*.mlp.0", "decoder"))
    assert {glob: sums["params"] for glob, sums in snapshot.modules.items()} == {
        "encoder": 1 + 2 * 76,
        "encoder.*": 2 * 76,
        "encoder.blocks.0": 76,
        "*.mlp.0": 2 * 40,
    }


def test_module_paths_include_containers() -> None:
    assert module_paths((linear("a.0.b", 1, 1), linear("c", 1, 1))) == {"a", "a.0", "a.0.b", "c"}
