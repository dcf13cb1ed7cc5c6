from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gate.profiles import blocks, linear, profile
from torchstat_cli.gate.baseline import json as subject
from torchstat_cli.gate.baseline.json import read_baseline, write_baseline
from torchstat_cli.gate.baseline.snapshot import Conditions, Snapshot, snapshot_of
from torchstat_cli.gate.layer_groups import Group

TINY = snapshot_of(profile(linear("head", 4, 3)))

EXPECTED = """\
{
  "schema": 1,
  "models": {
    "tiny": {
      "spec": "models:tiny",
      "made": {"attention": "auto", "input": ["1x8:float32"], "mode": "eval", "rules": 1, "torch": "2.13"},
      "totals": {"flops": 27, "madds": 12, "memory": 12, "params": 15, "trainable": 15},
      "groups": {
        "head": ["Linear 4->3", 1, {"flops": 27, "madds": 12, "memory": 12, "params": 15, "trainable": 15}]
      }
    }
  }
}
"""


def test_the_bytes() -> None:
    assert write_baseline({"tiny": TINY}) == EXPECTED


def test_one_layer_group_per_line() -> None:
    mixed = (*blocks(2, 4, 8), linear("blocks.2.mlp.0", 4, 16))
    lines = write_baseline({"tiny": snapshot_of(profile(*mixed))}).splitlines()
    assert [line.split(",")[0].strip() for line in lines if "Linear" in line] == [
        '["Linear 4->16"',
        '["Linear 4->8"',
        '"blocks.*.mlp.2": ["Linear 8->4"',
    ]


def test_an_update_of_one_model_leaves_the_lines_of_the_others() -> None:
    other = snapshot_of(profile(linear("head", 9, 9)))
    before = write_baseline({"a": TINY, "b": TINY, "c": TINY})
    after = write_baseline({"a": TINY, "b": other, "c": TINY})
    start, end = before.index('    "b"'), before.index('    "c"')
    assert after.startswith(before[:start])
    assert after.endswith(before[end:])


def test_an_empty_baseline() -> None:
    assert read_baseline(write_baseline({})) == {}


names = st.text(min_size=1, max_size=8)
counts = st.integers(0, 2**63 - 1)
sums = st.dictionaries(st.sampled_from(["params", "flops", "memory"]), counts)
snapshots = st.builds(
    Snapshot,
    spec=names,
    conditions=st.builds(
        Conditions,
        input=st.lists(names, max_size=2).map(tuple),
        mode=st.sampled_from(["eval", "train"]),
        rules=st.integers(0, 9),
        attention=names,
        torch=names,
    ),
    totals=sums,
    groups=st.dictionaries(
        names,
        st.lists(st.builds(Group, names, st.integers(1, 99), sums), min_size=1, max_size=3).map(tuple),
        max_size=3,
    ),
    modules=st.dictionaries(names, sums, max_size=2),
    unknown=st.lists(names, max_size=2).map(tuple),
)


@given(st.dictionaries(names, snapshots, max_size=3))
def test_what_is_written_is_read_back(models: dict[str, Snapshot]) -> None:
    text = write_baseline(models)
    assert read_baseline(text) == models
    assert write_baseline(read_baseline(text)) == text
    assert text.isascii()  # so that no locale and no editor can change a byte
    assert text.endswith("}\n")


def broken(**changes: Any) -> str:
    document = json.loads(EXPECTED)
    document["models"]["tiny"].update(changes)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (EXPECTED[:200], "is not valid JSON"),
        (f"<<<<<<< HEAD\n{EXPECTED}=======\n{EXPECTED}>>>>>>> branch\n", "has a merge conflict in it"),
        ("[]", 'it has no "schema" number'),
        ("3", 'it has no "schema" number'),
        ('{"schema": true}', 'it has no "schema" number'),
        ('{"schema": "1", "models": {}}', 'it has no "schema" number'),
        ('{"schema": 99, "models": {}}', "has schema 99, newer than the 1"),
        ('{"schema": 0, "models": {}}', "has the unknown schema 0"),
        ('{"schema": 1, "models": []}', '"models" are no object'),
        ('{"schema": 1, "models": {"a": 3}}', "'a' that makes no sense"),
        ('{"schema": 1, "models": {"a": {}, "a": {}}}', "names 'a' twice"),
        ("[" * 100_000, "nested too deeply"),
        (broken(totals={"params": 1.5}), "holds an entry for 'tiny' that makes no sense"),
        (broken(totals={"params": -1}), "holds an entry for 'tiny' that makes no sense"),
        (broken(totals=[1]), "holds an entry for 'tiny' that makes no sense"),
        (broken(made={"input": []}), "holds an entry for 'tiny' that makes no sense"),
        (broken(groups={"head": ["Linear", 1]}), "holds an entry for 'tiny' that makes no sense"),
        (broken(groups={"head": []}), "holds an entry for 'tiny' that makes no sense"),
        (broken(made={"attention": "auto", "input": "1x8", "mode": "eval", "rules": 1, "torch": "2.13"}), "'tiny'"),
        (broken(made={"attention": "auto", "input": ["1x8"], "mode": "eval", "rules": "1", "torch": "2.13"}), "'tiny'"),
        (broken(unknown="aten.op"), "'tiny'"),
        (broken(totals={"params": 2**63}), "9223372036854775808 is no whole number from 0 to 2^63 - 1"),
        (broken(totals={"params": 10**400}), "holds an entry for 'tiny' that makes no sense"),
        (EXPECTED.replace("27", "1" * 5000), "holds a number of 5000 digits"),
        (EXPECTED.replace("tiny", "x" * 1000).replace("27", "-1"), f"'{'x' * 56}... that makes no sense"),
        (broken(spec=3), "holds an entry for 'tiny' that makes no sense"),
    ],
)
def test_what_is_no_baseline(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read_baseline(text)
    assert len(str(caught.value)) < 250


def test_an_older_schema_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schema 1 is the first; this plays the arrival of schema 3 with two steps on the way."""

    def rename(old: str, new: str) -> Any:
        def migrate(document: dict[str, Any]) -> dict[str, Any]:
            entry = document["models"]["tiny"]
            return {"models": {"tiny": {(new if key == old else key): value for key, value in entry.items()}}}

        return migrate

    monkeypatch.setattr(subject, "BASELINE_SCHEMA", 3)
    monkeypatch.setattr(subject, "MIGRATIONS", {1: rename("sums", "sum"), 2: rename("sum", "totals")})
    old = EXPECTED.replace('"totals"', '"sums"')
    assert read_baseline(old) == {"tiny": TINY}
    assert write_baseline(read_baseline(old)) == EXPECTED.replace('"schema": 1', '"schema": 3')
