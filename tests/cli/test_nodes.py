"""``modelstat nodes``: names, shapes, modes, formats and mistakes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.libraries import import_torchvision
from torchstat_cli.cli.main import main

MODELS = """
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.drop = nn.Dropout()

    def forward(self, x):
        return (self.drop(self.linear(x)) + 1) if self.training else self.linear(x)


class Branching(Small):
    def forward(self, x):
        x = self.linear(x)
        return x.relu() if x.sum() > 1e9 else x.sin()


class Making(Small):
    def forward(self, x):
        x = self.linear(x) + torch.arange(2) * torch.ones(2)
        return x[:, torch.tensor([True, False])] * torch.tensor(2.0)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 4)

    def forward(self, x):
        heads = self.project(x).unflatten(-1, (2, 2)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(heads, heads, heads)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.last = Attention(), nn.Linear(2, 2)

    def forward(self, x):
        return self.last(self.attn(x))


class Choosing(Attending):
    def forward(self, x):
        return super().forward(x) if x.sum() < 1e9 else x


class Named(Small):
    def forward(self, *, image):
        return self.linear(image)


def traced():
    import torch
    return torch.jit.trace(Small().eval(), torch.ones(1, 4))
"""


@pytest.fixture
def models(tmp_path: Path) -> str:
    path = tmp_path / "models.py"
    path.write_text(MODELS)
    return str(path)


def test_table(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", f"{models}:Small", "--input", "3,4"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines() if "float32" in line]
    assert rows == [
        ["x", "input", "input", "3x4", "float32", "48", "B", "eval"],
        ["linear", "module", "Linear", "3x2", "float32", "24", "B", "eval"],
    ]
    assert "names found by the engine fx; placement meta" in err


def test_json_of_both_modes(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", f"{models}:Small", "--input", "3,4", "--mode", "both", "--format", "json"]) == 0
    nodes = {node["name"]: node for node in json.loads(capsys.readouterr().out)}
    assert list(nodes) == ["x", "linear", "drop", "add"]
    assert nodes["linear"]["modes"] == ["train", "eval"]
    assert nodes["drop"] == {
        "name": "drop",
        "kind": "module",
        "type": "Dropout",
        "shape": [[3, 2]],
        "dtype": "float32",
        "bytes": 24,
        "modes": ["train"],
    }


def test_csv_without_inputs_has_no_shapes(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", f"{models}:Small", "--format", "csv", "--filter", "l*"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["name"], row["shape"], row["bytes"]) for row in rows] == [("linear", "", "")]


def test_a_model_that_cannot_be_traced_is_run(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", f"{models}:Branching", "--input", "3,4", "--format", "names"]) == 0
    out, err = capsys.readouterr()
    assert out.split() == ["x", "linear", "sum", "gt", "sin"]
    assert "cannot trace Branching" in err
    assert "not run on meta alone: " in err
    assert "engine runtime; placement cpu" in err
    assert main(["nodes", f"{models}:Branching", "--format", "names"]) == 0
    out, err = capsys.readouterr()
    assert out.split() == ["linear", "drop"]
    assert "the modules alone" in err


@pytest.mark.parametrize("options", [[], ["--engine", "fx"], ["--compat", "torchvision"]])
def test_shapes_of_a_model_that_makes_tensors(
    models: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["nodes", f"{models}:Making", "--input", "3,4", "--format", "csv", *options]) == 0
    out, err = capsys.readouterr()
    rows = {row["type"]: row["shape"] for row in csv.DictReader(io.StringIO(out))}
    assert rows == {"input": "3x4", "Linear": "3x2", "add": "3x2", "getitem": "3x1", "mul": "3x1"}
    assert "no shapes" not in err


def test_an_output_file(models: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", f"{models}:Small", "--format", "names", "--output", str(tmp_path / "names.txt")]) == 0
    assert (tmp_path / "names.txt").read_text() == "x\nlinear\n"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{}:Small", "--filter", "zzz"], "no node matches 'zzz'"),
        (["{}:Smal"], "Small"),
        (["{}:Small", "--engine", "magic"], "magic"),
        (["{}:Small", "--input", "3,4", "--inputs", "a:b"], "both given"),
        (["{}:Branching", "--engine", "fx"], "cannot trace Branching"),
        (["{}:Branching", "--compat", "torchvision"], "cannot trace Branching"),
        (["{}:Branching", "--compat", "torchvision"], "leave compat out"),
        (["{}:Small", "--compat", "torchvision", "--engine", "hooks"], "exist only in graphs"),
        (["{}:Branching", "--input", "3,5"], "does not run on these inputs"),
        (["{}:Small", "--output", "/absent/folder/file"], "folder"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    models: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["nodes", *(word.format(models) for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") or "\nerror: " in err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_refused(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", f"{models}:traced"]) == 2
    assert "TorchScript" in capsys.readouterr().err


@pytest.mark.libraries
def test_resnet18_has_torchvisions_names(capsys: pytest.CaptureFixture[str]) -> None:
    torchvision = import_torchvision()
    from torchvision.models.feature_extraction import get_graph_node_names

    expected = get_graph_node_names(torchvision.models.resnet18())[1]
    assert main(["nodes", "torchvision/resnet18", "--format", "names"]) == 0
    assert capsys.readouterr().out.split() == expected


@pytest.mark.parametrize("kind", ["Attending", "Choosing"])
def test_attention_maps_are_nodes_of_graphs_and_runs(
    kind: str, models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["nodes", f"{models}:{kind}", "--input", "1,5,4", "--format", "json"]
    assert main(call) == 0
    nodes = [node["name"] for node in json.loads(capsys.readouterr().out)]
    assert nodes.index("attn.scaled_dot_product_attention") < nodes.index("attn:attn") < nodes.index("last")
    assert main([*call, "--filter", "attn"]) == 0
    (node,) = json.loads(capsys.readouterr().out)
    assert (node["name"], node["kind"], node["type"]) == ("attn:attn", "map", "Attention")
    assert node["shape"] == [[1, 2, 5, 5]]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("type:Lin*", ["attn.project", "last"]),
        ("op:unflatten", ["attn.unflatten"]),
        ("re:la.*", ["last"]),
        ("attn:at*", ["attn:attn"]),
        ("la[sx]t", ["last"]),
    ],
)
def test_a_filter_takes_selections(
    pattern: str, names: list[str], models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["nodes", f"{models}:Attending", "--input", "1,5,4", "--format", "names", "--filter", pattern]
    assert main(call) == 0
    assert capsys.readouterr().out.split() == names


def test_inputs_that_go_by_name_alone_are_named_in_the_remedy(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", f"{models}:Named", "--input", "1,4"]) == 0
    assert "name the input: --input image=1,4" in capsys.readouterr().err
    assert main(["nodes", f"{models}:Small", "--filter", "attn"]) == 2
    assert "give --input" in capsys.readouterr().err
