"""torch's real distributed wrappers, in a process group of one process."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import distributed, nn


@contextmanager
def one_process() -> Iterator[None]:
    """A process group of this process alone, over gloo; skips where torch has none."""
    if not distributed.is_available() or not distributed.is_gloo_available():
        pytest.skip("torch was built without torch.distributed")
    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.HashStore())
    try:
        yield
    finally:
        distributed.destroy_process_group()


def network() -> nn.Sequential:
    """(3, 4) to (3, 2): a linear layer, a nested block, another linear layer."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 2))


def data_parallel() -> nn.Module:
    """Replicated parameters."""
    return nn.parallel.DistributedDataParallel(network())


def _flat(model: nn.Module, *, keep: bool) -> nn.Module:
    from torch.distributed.fsdp import FullyShardedDataParallel

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FSDP is switching to use `NO_SHARD`")
        return FullyShardedDataParallel(model, device_id=torch.device("cpu"), use_orig_params=keep)


def _mesh() -> distributed.DeviceMesh:
    return distributed.init_device_mesh("cpu", (1,))


def _flat_inside() -> nn.Module:
    model = network()
    model[1] = _flat(model[1], keep=False)
    return model


def _per_parameter() -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    model = network()
    fully_shard(model[1], mesh=_mesh())
    fully_shard(model, mesh=_mesh())
    return model


def _per_parameter_inside() -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    model = network()
    fully_shard(model[1], mesh=_mesh())
    return model


def _tensor_parallel() -> nn.Module:
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    return parallelize_module(network(), _mesh(), {"0": ColwiseParallel(output_layouts=None)})


def sharded_by_its_factory() -> nn.Module:
    """What a spec may point at; it makes the process's group the mesh."""
    return _flat(network(), keep=True)


SHARDED: dict[str, Callable[[], nn.Module]] = {
    "FSDP": lambda: _flat(network(), keep=False),
    "FSDP with original parameters": lambda: _flat(network(), keep=True),
    "FSDP inside": _flat_inside,
    "fully_shard": _per_parameter,
    "fully_shard inside": _per_parameter_inside,
    "tensor parallel": _tensor_parallel,
}
