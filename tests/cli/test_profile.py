"""``modelstat MODEL``: every option's way to the report, and every bad input's one sentence."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import MLP, refused, run

MODELS = '''
import sys

import torch
from torch import nn


def two(width=4, *, name="x"):
    """Linear(4, width) and its bias, then a ReLU."""
    return nn.Sequential(nn.Linear(4, width), nn.ReLU())


def needs(depth, width):
    return nn.Linear(depth, width)


def raises():
    raise OSError("the weights are gone")


def nothing():
    pass


class Chatty(nn.Module):
    def forward(self, x):
        print("chatter")
        return x.relu()


class Leaves(nn.Module):
    def forward(self, x):
        sys.exit(0)


class Named(nn.Module):
    def forward(self, ids, *, scale):
        return ids * scale


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x):
        return self.inner(x)


def some_inputs():
    return torch.zeros(5, 4)


def named_inputs():
    return {"ids": torch.zeros(3), "scale": torch.ones(3)}


constant = 3
instance = nn.Linear(4, 2)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with ``models.py``."""
    (tmp_path / "scratch_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    outcome = run(capsys, *words, "--format", "json")
    assert (outcome.code, outcome.err) == (0, "")
    result: dict[str, Any] = json.loads(outcome.out)
    return result


TWO = ("scratch_models.py:two", "--input", "2,4")
"""2 rows through Linear(4, 4): 32 MAdds, 20 parameters."""


# What is said is done


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("spec", ["scratch_models.py:two", "scratch_models:two", "./scratch_models.py:two"])
def test_specs_of_a_file_and_a_module(capsys: pytest.CaptureFixture[str], spec: str) -> None:
    totals = report(capsys, spec, "--input", "2,4")["totals"]
    assert (totals["params"], totals["madds"], totals["flops"]) == (20, 32, 64 + 8 + 8)


@pytest.mark.usefixtures("folder")
def test_instances_and_classes_are_models_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, "scratch_models.py:instance", "--input", "1,4")["totals"]["params"] == 10
    assert report(capsys, "scratch_models.py:Nested", "--input", "1,4")["totals"]["params"] == 20


@pytest.mark.usefixtures("folder")
def test_arguments_go_to_the_factory(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, *TWO, "--arg", "width=7", "--arg", "name=it's")["totals"]["params"] == 35


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("spelling", ["2,4", "2x4"])
def test_input_shapes(capsys: pytest.CaptureFixture[str], spelling: str) -> None:
    inputs = report(capsys, "scratch_models.py:two", "--input", spelling)["inputs"]
    assert inputs == [{"name": None, "shape": [2, 4], "dtype": "float32"}]


@pytest.mark.usefixtures("folder")
def test_named_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("scratch_models.py:Named", "--input", "ids=3:int64<10", "--input", "scale=()")
    assert [(entry["name"], entry["shape"], entry["dtype"]) for entry in report(capsys, *words)["inputs"]] == [
        ("ids", [3], "int64"),
        ("scale", [], "float32"),
    ]


@pytest.mark.usefixtures("folder")
def test_inputs_from_functions(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("scratch_models.py:two", "--inputs", "scratch_models.py:some_inputs")
    assert report(capsys, *words)["totals"]["madds"] == 5 * 16
    words = ("scratch_models.py:Named", "--inputs", "scratch_models.py:named_inputs")
    assert [entry["name"] for entry in report(capsys, *words)["inputs"]] == ["ids", "scale"]


@pytest.mark.usefixtures("folder")
def test_dtype_device_and_mode(capsys: pytest.CaptureFixture[str]) -> None:
    half = report(capsys, *TWO, "--dtype", "bfloat16")
    assert (half["inputs"][0]["dtype"], half["totals"]["param_bytes"]) == ("bfloat16", 40)
    real = report(capsys, *TWO, "--device", "cpu", "--mode", "train")
    assert (real["placement"], real["mode"]) == ("cpu", "train")


@pytest.mark.usefixtures("folder")
def test_memo_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, *TWO, "--no-memo") == report(capsys, *TWO)


@pytest.mark.usefixtures("folder")
def test_rows_can_be_folded_filtered_sorted_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    nested = ("scratch_models.py:Nested", "--input", "2,4", "--format", "csv", "--columns", "path,madds")

    def rows(*words: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(run(capsys, *nested, *words).out)))

    assert rows() == [["path", "madds"], ["inner.0", "32"], ["inner.1", "0"]]
    assert rows("--depth", "1") == [["path", "madds"], ["inner", "32"]]
    assert rows("--filter", "*.1") == [["path", "madds"], ["inner.1", "0"]]
    assert rows("--sort", "madds", "--top", "1") == [["path", "madds"], ["inner.0", "32"]]


@pytest.mark.usefixtures("folder")
def test_operators(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, *TWO, "--by", "operator", "--format", "csv", "--columns", "op,calls,madds")
    assert outcome.out.splitlines() == ["op,calls,madds", "aten.linear,1,32", "aten.relu,1,0"]


# Streams and files


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown", "html"])
def test_output_goes_to_the_file_or_to_standard_output(
    capsys: pytest.CaptureFixture[str], folder: Path, form: str
) -> None:
    shown = run(capsys, *TWO, "--format", form)
    written = run(capsys, *TWO, "--format", form, "--output", "report")
    assert (shown.code, shown.err, written.code, written.out, written.err) == (0, "", 0, "", "")
    text = (folder / "report").read_bytes().decode()
    assert "32" in text
    if form in ("csv", "json", "markdown"):
        assert text == shown.out


@pytest.mark.usefixtures("folder")
def test_what_a_model_prints_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, "scratch_models.py:Chatty", "--input", "3", "--format", "json")
    assert json.loads(outcome.out)["totals"]["flops"] == 3
    assert outcome.err == "chatter\n"


def test_nothing_is_written_when_the_model_fails(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "report.csv").write_text("before")
    refused(capsys, "scratch_models.py:two", "--input", "2,5", "--output", "report.csv")
    assert (folder / "report.csv").read_text() == "before"
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == [
        "report.csv",
        "scratch_models.py",
    ]


# Bad input


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("no_such_module:two",), "no module named 'no_such_module'"),
        (("missing.py:two",), "missing.py"),
        (("scratch_models.py:tow",), "has no attribute 'tow'; did you mean two"),
        (("scratch_models.py:constant",), "is an int, not a model"),
        (("scratch_models.py:nothing",), "returned None instead of an nn.Module"),
        (("scratch_models.py:needs",), "needs arguments: depth, width"),
        (("scratch_models.py:raises",), "raised OSError: the weights are gone (scratch_models.py:18)"),
        (("scratch_models.py:Leaves", "--input", "3"), "the model ended the program: sys.exit(0)"),
        (("scratch_models.py",), "scratch_models.py"),
        (("",), "the model spec is empty"),
        (("scratch_models.py:two",), "does not say what input it takes"),
        (("sample_models.broken:raises_mid_forward",), "forward failed in 'blocks.1.gate' on input 2x16"),
        ((MLP, "--input", "1,3"), "forward failed in '0' on input 1x3"),
        ((MLP, "--input", "1,784:int64"), "forward failed in '0' on input 1x784"),
        ((MLP, "--input", "1,-784"), "negative size -784"),
        ((MLP, "--input", ""), "the input spec is empty"),
        ((MLP, "--input", "one,two"), "which is no whole number"),
        ((MLP, "--input", "1,784:float33"), "the dtype 'float33'"),
        ((MLP, "--input", "1,784", "--inputs", "a:b"), "both given"),
        ((MLP, "--inputs", "scratch_models.py:missing"), "has no attribute 'missing'"),
        ((MLP, "--inputs", "scratch_models.py:constant"), "must be Tensor, not int"),
        ((MLP, "--arg", "depth"), "not of the form key=value"),
        ((MLP, "--arg", "depht=2"), "has no argument 'depht'"),
        ((MLP, "--arg", "depth=-1"), "depth must be a positive integer"),
        ((MLP, "--dtype", "int8"), "'int8' is no floating dtype"),
        ((MLP, "--device", "gpu"), "torch knows no device 'gpu'"),
        ((MLP, "--device", "cuda:99"), "there is no cuda:99"),
        ((MLP, "--columns", "flosp"), "no column by module named 'flosp'"),
        ((MLP, "--sort", "flosp"), "no column by module named 'flosp'"),
        ((MLP, "--depth", "-1"), "the depth -1 is negative"),
        ((MLP, "--top", "0"), "the top 0 rows are none"),
        ((MLP, "--output", "missing/report.csv"), "its folder does not exist"),
        ((MLP, "--output", "."), "it is a folder"),
        ((MLP, "--filter", "zzz*"), "zzz"),
        ((MLP, "--optimizer", "adam"), "--optimizer only means something in a training step"),
    ],
)
def test_one_sentence_and_a_remedy(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused(capsys, *words)


def test_strict_refuses_what_rests_on_assumptions(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("sample_models.experts:routed_experts", "--device", "meta")
    assert report_code(capsys, *words) == 0
    assert "the numbers rest on assumptions" in refused(capsys, *words, "--strict")


def report_code(capsys: pytest.CaptureFixture[str], *words: str) -> int:
    return run(capsys, *words).code


def test_a_model_of_126_layers_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    spec = f"hf/{Path(__file__).parents[1] / 'fixtures' / 'llama-405b'}"
    outcome = run(capsys, spec, "--input", "1,8:int64", "--units", "raw")
    lines = outcome.out.splitlines()
    assert len(lines) < 60
    heading, _, *rows = (re.split(r"\s{2,}", line.strip()) for line in outcome.out.split("\n\n")[0].splitlines())
    flops = heading.index("MemR+W") - len(heading)  # from the right: not every row has every cell
    *parts, _, total = rows
    assert sum(int(row[flops]) for row in parts) == int(total[flops])
    assert total[0] == "total"
