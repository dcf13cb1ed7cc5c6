"""A caller in Python is told of arguments, one at a terminal of options; the cause is the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.cli.main import main
from torchstat_cli.python_remedies import in_python


@pytest.mark.parametrize(
    ("remedy", "expected"),
    [
        ("run it for real: --device cpu", "run it for real: device='cpu'"),
        (
            "run for real with --device cpu, or leave --strict out",
            "run for real with device='cpu', or leave strict out",
        ),
        ("write the batch too: --input 1,3,224,224", "write the batch too: input_shape=(1, 3, 224, 224)"),
        ("write the batch too: --input x=1,3", "write the batch too: x of shape (1, 3)"),
        ("give one: --input 5 (or --inputs module:function)", "give one: input_shape=(5,)"),
        ("give each: --input a=SHAPE --input b=SHAPE (or --inputs module:function)", "give each: a b"),
        (
            "give inputs that fit with --input, or see the whole traceback with --debug",
            "give inputs that fit, or see what caused this error",
        ),
        (
            "leave --arg weights out: costs do not depend on the weights",
            "leave weights out: costs do not depend on the weights",
        ),
        ("check the names of the --arg values", "check the names of the arguments"),
        ("name a function: --loss module:function", "name a function: loss=function"),
        ("write it as --optimizer package.module:function", "write it as optimizer='package.module:function'"),
        ("use --device auto or cpu", "use device='auto' or 'cpu'"),
        ("write the batch too: --input 1,7:int64", "write the batch too: an input of shape (1, 7) and dtype int64"),
        ("leave --arg out, or name a function", "leave the arguments out, or name a function"),
        ("a name on the hub needs --online", "a name on the hub needs online"),
        ("give nothing at all", "give nothing at all"),
    ],
)
def test_spelling(remedy: str, expected: str) -> None:
    assert in_python(remedy) == expected


ROOMS = ("loading", "capture", "tasks", "activations", "torch_access", "calculators")


def written() -> Iterator[str]:
    """Every text in the code that names an option and may reach a caller in Python."""
    for room in ROOMS:
        for file in sorted((Path(ms.__file__).parent / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(part.value if isinstance(part, ast.Constant) else "name" for part in node.values)  # type: ignore[misc]
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_no_remedy_that_is_written_anywhere_keeps_an_option() -> None:
    remedies = [text for text in written() if re.search(r"(?<!-)--[a-z]", text)]
    assert len(remedies) > 20
    assert not [text for text in remedies if re.search(r"(?<!-)--[a-z]", in_python(text))]


class Asking(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_meta:
            raise RuntimeError("a meta tensor has no values")
        return super().forward(x)


class Transposing(nn.Module):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return ids.permute(1, 0)


class OnCuda(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to("cuda:99")


CALLS: dict[str, Callable[[], Any]] = {
    "misfit": lambda: ms.profile(nn.Linear(8, 4), torch.ones(2, 5)),
    "without a batch": lambda: ms.profile("sample_models.resnet:resnet18", torch.ones(3, 64, 64)),
    "without inputs": lambda: ms.profile("torch.nn:Identity"),
    "values on meta": lambda: ms.profile(Asking(8, 8), torch.ones(2, 8), device="meta"),
    "no such device": lambda: ms.profile(nn.Linear(2, 2), torch.ones(1, 2), device="cuda:7"),
    "nothing to train": lambda: ms.profile(nn.ReLU(), torch.ones(2), train=True),
    "no such loss": lambda: ms.profile(nn.Linear(2, 2), torch.ones(1, 2), train=True, loss="nowhere:at_all"),
    "no such argument": lambda: ms.load_model("sample_models.mlp:mlp", depht=3),
    "no such optimizer": lambda: ms.profile(nn.Linear(2, 2), torch.ones(1, 2), train=True, optimizer="a.b:c"),
    "tokens without a batch": lambda: ms.profile(Transposing(), torch.ones(7, dtype=torch.int64)),
    "an accelerator that is not there": lambda: ms.profile(OnCuda(), torch.ones(2)),
    "no such hub model": lambda: ms.load_model("hf/nowhere/at-all"),
    "no such model": lambda: ms.load_model("sample_models.mlp:mlpp"),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_options_of_the_command_line(name: str) -> None:
    with pytest.raises(ms.ModelstatError) as caught:
        CALLS[name]()
    assert " --" not in str(caught.value)


def test_the_command_line_keeps_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample_models.resnet:resnet18", "--input", "3,64,64"]) == 2
    assert "write the batch too: --input 1,3,64,64" in capsys.readouterr().err
