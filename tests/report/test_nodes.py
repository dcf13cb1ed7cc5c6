from __future__ import annotations

import csv
import io
import json

from torchstat_cli.activations.nodes.recording import NodeRecord
from torchstat_cli.report.nodes import HEADINGS, render

# A linear layer from 4 to 2 on 3 samples in float32: 3·2·4 = 24 bytes; an LSTM's output and its two states.
ROWS = [
    (NodeRecord("linear", "module", "Linear", ((3, 2),), "float32", 24), "train eval"),
    (NodeRecord("lstm", "module", "LSTM", ((3, 1024), (8,), ()), "float32", 4 * (3 * 1024 + 8 + 1)), "eval"),
    (NodeRecord("add", "operator", "add"), "train"),
]


def table_rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_names_alone() -> None:
    assert render(ROWS, "names") == "linear\nlstm\nadd\n"


def test_a_table_rounds_sizes() -> None:
    lines = [line.split() for line in render(ROWS, "table").splitlines()]
    assert list(HEADINGS) in lines
    assert ["lstm", "module", "LSTM", "3x1024;8;()", "float32", "12.04", "KiB", "eval"] in lines  # 12324 / 1024


def test_csv_keeps_every_byte_and_leaves_unknown_values_empty() -> None:
    assert table_rows(render(ROWS, "csv")) == [
        list(HEADINGS),
        ["linear", "module", "Linear", "3x2", "float32", "24", "train eval"],
        ["lstm", "module", "LSTM", "3x1024;8;()", "float32", "12324", "eval"],
        ["add", "operator", "add", "", "", "", "train"],
    ]


def test_json_has_shapes_as_lists_and_null_for_what_was_not_run() -> None:
    linear, _, add = json.loads(render(ROWS, "json"))
    assert linear == {
        "name": "linear",
        "kind": "module",
        "type": "Linear",
        "shape": [[3, 2]],
        "dtype": "float32",
        "bytes": 24,
        "modes": ["train", "eval"],
    }
    assert (add["shape"], add["dtype"], add["bytes"]) == (None, None, None)


def test_nothing_without_tensors_has_a_size() -> None:
    """A node that returned no tensor ran, but holds no bytes worth a cell."""
    silent = [(NodeRecord("hook", "module", "Marker", (), None, 0), "eval")]
    assert table_rows(render(silent, "csv"))[1] == ["hook", "module", "Marker", "", "", "", "eval"]
