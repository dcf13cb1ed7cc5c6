"""Profiles of torch's real distributed wrappers: DDP counts as the model inside; what is sharded is refused, intact."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import torchstat_cli as ms
from tests.distributed import SHARDED, data_parallel, network, one_process
from torchstat_cli.errors import ModelError

X = torch.linspace(-1, 1, 12).reshape(3, 4)


@pytest.fixture(autouse=True)
def process_group() -> Iterator[None]:
    with one_process():
        yield


@pytest.mark.parametrize("options", [{}, {"train": True}, {"device": "cpu"}])
def test_ddp_counts_as_the_model_inside(options: dict[str, object]) -> None:
    model = data_parallel()
    report, expected = ms.profile(model, X, **options), ms.profile(network(), X, **options)  # type: ignore[arg-type]
    assert report.rows == expected.rows
    assert report.total == expected.total
    assert report.total.params == 4 * 8 + 8 + 8 * 8 + 8 + 8 * 2 + 2
    assert torch.equal(model(X), network()(X))


def test_a_ddp_loop_is_observed() -> None:
    model = data_parallel()
    with ms.instrument(model) as capture:
        model(X)
    report = capture.profile()
    assert [row.path for row in report.rows] == ["0", "1.0", "1.1", "2"]
    assert report.total.madds == 3 * (4 * 8 + 8 * 8 + 8 * 2)


@pytest.mark.parametrize("kind", SHARDED)
def test_sharded_models_are_refused_and_run_on(kind: str) -> None:
    model = SHARDED[kind]()
    expected = model(X)
    for options in ({}, {"train": True}, {"device": "cpu"}):
        with pytest.raises(ModelError, match=r"sharded by FSDP|DTensors"):
            ms.profile(model, X, **options)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"sharded by FSDP|DTensors"), ms.instrument(model):
        pass
    assert torch.equal(model(X), expected)


def test_a_module_inside_is_named() -> None:
    with pytest.raises(ModelError, match="'1' is sharded by FSDP"):
        ms.profile(SHARDED["fully_shard inside"](), X)


def test_what_a_factory_shards_is_refused_too() -> None:
    with pytest.raises(ModelError, match="the model is sharded by FSDP"):
        ms.profile("tests.distributed:sharded_by_its_factory", X)
