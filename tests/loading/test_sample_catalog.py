"""Every sample model can be found and, unless it is broken on purpose, built with its usual inputs."""

from __future__ import annotations

import pytest
import torch

import sample_models
from torchstat_cli.errors import BuildError
from torchstat_cli.loading import default_inputs, place
from torchstat_cli.loading.sample_catalog import find, knows, names


@pytest.mark.parametrize("name", sorted(set(sample_models.CATALOG) - {"raises_in_init"}))
def test_sample_models(name: str) -> None:
    source = find(name, {})
    assert source.resolved == sample_models.CATALOG[name]
    assert place(source).placement == "meta"
    inputs = default_inputs(source, device="meta", dtype=torch.float32)
    assert inputs is not None
    assert inputs.args or inputs.kwargs


def test_the_one_that_raises_says_where() -> None:
    with pytest.raises(BuildError, match=r"sample_models\.broken:raises_in_init raised .*\(.*broken\.py:\d+\)"):
        place(find("raises_in_init", {}))


def test_names() -> None:
    assert names() == sorted(sample_models.CATALOG)
    assert knows("resnet18")
    assert not knows("resnt18")
