"""Every sample model can be found and, unless it is broken on purpose, built with its usual inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import sample_models
from torchstat_cli.errors import BuildError, SpecError
from torchstat_cli.loading import default_inputs, find_model, place
from torchstat_cli.loading.sample_catalog import find, knows, names


@pytest.mark.parametrize("name", sorted(set(sample_models.CATALOG) - {"raises_in_init"}))
def test_sample_models(name: str) -> None:
    source = find(name, {})
    assert source.resolved == f"sample_models/{name}"
    assert place(source).placement == "meta"
    inputs = default_inputs(source, device="meta", dtype=torch.float32)
    assert inputs is not None
    assert inputs.args or inputs.kwargs


def test_the_one_that_raises_says_where() -> None:
    with pytest.raises(BuildError, match=r"sample_models/raises_in_init raised .*\(.*broken\.py:\d+\)"):
        place(find("raises_in_init", {}))


def test_names() -> None:
    assert names() == sorted(sample_models.CATALOG)
    assert knows("resnet18")
    assert not knows("resnt18")


def test_a_folder_of_the_user_with_that_name_is_another_package(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither hides the other: one is found by its prefix, the other by its own spec."""
    write("sample_models/__init__.py", "")
    path = write("sample_models/resnet.py", "from torch import nn\n\ndef mine():\n    return nn.Linear(2, 3)\n")
    monkeypatch.chdir(path.parents[1])
    for name in [name for name in sys.modules if name.partition(".")[0] == "sample_models"]:
        monkeypatch.delitem(sys.modules, name)
    assert place(find_model("sample_models/resnet18")).model.fc.out_features == 1000
    assert place(find_model("sample_models.resnet:mine")).model.out_features == 3
    with pytest.raises(SpecError, match="no attribute 'resnet18'") as caught:
        find_model("sample_models.resnet:resnet18")
    assert caught.value.hint == "for the sample model write sample_models/resnet18"
