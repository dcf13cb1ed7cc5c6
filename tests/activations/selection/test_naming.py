"""Names: true paths, numbered repetitions, torchvision's scheme."""

from __future__ import annotations

import torch
from torch import nn

from tests.activations.models import Digits, Reused
from torchstat_cli.activations.selection.naming import ModuleTable, TorchvisionNumbering, TrueNumbering


def test_a_shared_module_has_one_name_and_aliases() -> None:
    table = ModuleTable.of(Reused())
    assert list(table.modules) == ["", "layer"]
    assert table.aliases == {"twin": "layer"}
    assert table.first_path("twin") == "layer"


def test_repetitions_pass_over_names_of_other_modules() -> None:
    table = ModuleTable.of(Digits())
    assert [table.call_name("conv", call) for call in range(3)] == ["conv", "conv_3", "conv_4"]
    assert table.call_of("conv_1") == ("conv_1", 0)
    assert table.call_of("conv_3") == ("conv", 1)
    assert table.call_of("conv_4") == ("conv", 2)
    assert table.call_of("convolution") is None
    assert table.call_of("conv_0") is None


def test_call_of_inverts_call_name() -> None:
    table = ModuleTable.of(Digits())
    for path in table.modules:
        for call in range(5):
            assert table.call_of(table.call_name(path, call)) == (path, call)


def test_wrappers_add_nothing_to_names() -> None:
    compiled = torch.compile(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), backend="eager")
    assert list(ModuleTable.of(compiled).modules) == ["", "0", "1"]
    partly = nn.Sequential(torch.compile(nn.Sequential(nn.Linear(2, 2)), backend="eager"))
    table = ModuleTable.of(partly)
    assert list(table.modules) == ["", "0", "0.0"]
    assert type(table.modules["0"]) is nn.Sequential


def test_true_numbering_avoids_module_paths() -> None:
    numbering = TrueNumbering({"add_1"})
    assert [numbering.name("add") for _ in range(3)] == ["add", "add_2", "add_3"]


def test_torchvision_numbering_strips_digits_of_any_name() -> None:
    numbering = TorchvisionNumbering()
    # Attributes conv_1, conv, conv_2 in this order of calls.
    assert [numbering.name(base) for base in ("conv_1", "conv", "conv_2")] == ["conv", "conv_1", "conv_2"]
    assert numbering.name("encoder.ln_1") == "encoder.ln"
