"""``--optimizer`` and ``--loss``: names, arguments, functions and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from torchstat_cli.errors import SpecError, UsageError
from torchstat_cli.loading import find_loss, find_optimizer
from torchstat_cli.loading.optimizers import optimizer_names


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(2))]


@pytest.mark.parametrize("name", ["sgd", "sgd-momentum", "adam", "adamw", "adagrad", "rmsprop", "AdamW"])
def test_common_names(name: str) -> None:
    assert isinstance(find_optimizer(name)(parameters()), torch.optim.Optimizer)


def test_every_name_makes_an_optimizer() -> None:
    for name in optimizer_names():
        if name != "muon":  # takes matrices alone
            assert find_optimizer(name)(parameters()).param_groups


def test_momentum_and_arguments() -> None:
    assert find_optimizer("sgd-momentum")(parameters()).defaults["momentum"] == 0.9
    made = find_optimizer("adamw:lr=0.5, foreach=True, betas=(0.5, 0.6)")(parameters())
    assert (made.defaults["lr"], made.defaults["foreach"], made.defaults["betas"]) == (0.5, True, (0.5, 0.6))
    with pytest.raises(UsageError, match="no argument of adamw"):
        find_optimizer("adamw:learning=0.5")


def test_functions_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes.py").write_text(
        "import torch\nhalf = 0.5\ndef make(ps): return torch.optim.SGD(ps, lr=half)\ndef mean(y): return y.mean()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert find_optimizer("recipes.py:make")(parameters()).defaults["lr"] == 0.5
    assert find_loss("recipes.py:mean")(torch.ones(4)).item() == 1.0
    with pytest.raises(SpecError, match="is no function but a float"):
        find_loss("recipes.py:half")
    with pytest.raises(SpecError, match="names no function"):
        find_loss("mean")


def test_unknown_names_get_close_ones() -> None:
    with pytest.raises(UsageError, match="no optimizer 'adamx'") as caught:
        find_optimizer("adamx")
    assert "adam" in str(caught.value.hint)
