"""What settings accept: names of dtypes, and how to train."""

from __future__ import annotations

import pytest
import torch

from torchstat_cli.errors import UsageError
from torchstat_cli.tasks.settings import floating_dtype, training_run


@pytest.mark.parametrize("name", ["float16", "bfloat16", "torch.float64", "complex64"])
def test_floating_dtypes(name: str) -> None:
    assert str(floating_dtype(name)) == f"torch.{name.removeprefix('torch.')}"


@pytest.mark.parametrize("name", ["int8", "bool", "float", "half precision", "", "nn", "Tensor"])
def test_dtypes_that_are_not_floating(name: str) -> None:
    if name == "float":  # torch's own alias
        assert floating_dtype(name) is torch.float32
        return
    with pytest.raises(UsageError, match="is no floating dtype"):
        floating_dtype(name)


def test_a_training_run_names_what_it_was_given() -> None:
    def total(output: torch.Tensor) -> torch.Tensor:
        return output.sum()

    plain = training_run().setup
    assert (plain.optimizer, plain.loss, plain.autocast, plain.accumulate) == ("sgd", "sum of outputs", None, 1)
    given = training_run(torch.optim.SGD, total, "torch.bfloat16", 3).setup
    assert (given.optimizer, given.autocast, given.accumulate) == ("SGD", "bfloat16", 3)
    assert given.loss.endswith("total")


def test_training_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="cannot accumulate 0 passes"):
        training_run(accumulate=0)
    with pytest.raises(UsageError, match="autocast has no use for float32"):
        training_run(autocast="float32")
