from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.report.profiles import PROVENANCE, TINY, module, renamed, timed, with_unknown
from torchstat_cli.errors import UsageError
from torchstat_cli.records import SUMMED
from torchstat_cli.report.profile.formats.json import plain, render
from torchstat_cli.report.profile.view import View


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/tiny.json", render(with_unknown()))


def test_keys_in_the_order_of_the_schema() -> None:
    report = json.loads(render(TINY))
    assert " ".join(report) == (
        "schema rules tool version torch model inputs placement mode assumptions "
        "totals rows operators unknown never_called"
    )
    assert " ".join(report["totals"]) == (
        "params trainable_params buffers param_bytes buffer_bytes madds flops mem_read mem_write memory "
        "peak intensity duration_s lower_bound"
    )
    assert " ".join(report["rows"][0]) == (
        "path type kind calls input_shape output_shape dtype params trainable_params buffers madds flops "
        "mem_read mem_write memory duration_s shared_with attrs"
    )
    assert " ".join(report["operators"][0]) == "op calls madds flops mem_read mem_write"
    assert report["model"] == {"spec": "tiny", "resolved": "sample_models.tiny:tiny", "class": "TinyNet"}
    assert report["inputs"] == [{"name": None, "shape": [2, 3, 4, 4], "dtype": "float32"}]


@pytest.mark.parametrize("depth", [None, 0, 1, 2])
def test_rows_sum_to_totals_at_any_depth(depth: int | None) -> None:
    report = json.loads(render(TINY, View(depth=depth)))
    for column in SUMMED:
        assert sum(row[column] for row in report["rows"]) == report["totals"][column]


def test_integers_are_exact_beyond_floats() -> None:
    huge = 2**63 + 1
    profile = replace(TINY, rows=(module("a", "A", flops=huge),), total=replace(TINY.total, flops=huge))
    report = json.loads(render(profile))
    assert report["rows"][0]["flops"] == report["totals"]["flops"] == huge


def test_what_was_not_measured_is_null() -> None:
    report = json.loads(render(TINY))
    assert (report["totals"]["peak"], report["totals"]["duration_s"], report["rows"][0]["duration_s"]) == (None,) * 3
    assert json.loads(render(timed()))["totals"]["duration_s"] == 0.008


def test_the_same_profile_gives_the_same_ascii_bytes() -> None:
    text = render(renamed("模块"))
    assert text == render(renamed("模块"))
    assert text.isascii()
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        ((1, [2, (3,)]), [1, [2, [3]]]),
        ({1: {"a": (1,)}}, {"1": {"a": [1]}}),
        (True, True),
        (0.5, 0.5),
        (complex(1, 2), "(1+2j)"),
    ],
)
def test_values_that_json_lacks_become_text(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_an_empty_report_is_valid() -> None:
    empty = replace(TINY, rows=(), operators=(), never_called=(), provenance=replace(PROVENANCE, inputs=()))
    assert json.loads(render(empty))["rows"] == []


@pytest.mark.parametrize(
    ("view", "word"),
    [
        (View(columns=("flops",)), "columns"),
        (View(sort="flops"), "sort"),
        (View(top=1), "top"),
        (View(filter="head"), "filter"),
        (View(by="type"), "by"),
    ],
)
def test_a_report_in_part_is_refused(view: View, word: str) -> None:
    with pytest.raises(UsageError, match=f"cannot take {word}"):
        render(TINY, view)


def test_operators_are_in_every_report() -> None:
    assert render(TINY, View(by="operator")) == render(TINY)
