"""The ladder: meta, then meta parameters, then the real CPU, each only when the one before fails for its own reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from torchstat_cli.errors import BuildError, PlacementError, UsageError
from torchstat_cli.loading import ModelSource, Placed, place, place_meta_parameters, place_on_cpu
from torchstat_cli.loading import placement as placement_module
from torchstat_cli.loading.factories import build_module


class Counted:
    """A source that counts how often it is built."""

    def __init__(self, factory: Callable[[], object]) -> None:
        self.builds = 0
        self._factory = factory
        self.source = ModelSource("net", "net", lambda: build_module("net", self._counting))

    def _counting(self) -> object:
        self.builds += 1
        return self._factory()


def needs_buffer_values() -> nn.Module:
    widths = torch.linspace(4, 8, 3).int().tolist()
    return nn.Sequential(nn.Linear(widths[0], widths[1]), nn.BatchNorm1d(widths[1]))


def needs_parameter_values() -> nn.Module:
    module = nn.Linear(4, 4)
    module.largest = float(module.weight.abs().max())  # type: ignore[assignment]
    return module


def test_most_models_need_no_memory() -> None:
    counted = Counted(lambda: nn.Linear(10**6, 10**6))  # 4 TB
    placed = place(counted.source)
    assert (placed.placement, placed.notes, counted.builds) == ("meta", (), 1)
    assert placed.model.weight.is_meta  # type: ignore[union-attr]


@pytest.mark.parametrize("device", ["auto", "meta"])
def test_construction_that_needs_values_keeps_its_buffers(device: str) -> None:
    counted = Counted(needs_buffer_values)
    placed = place(counted.source, device)
    assert placed.placement == "meta-parameters"
    assert "Cannot copy out of meta tensor" in placed.notes[0]
    assert all(parameter.is_meta for parameter in placed.model.parameters())
    assert placed.model[1].running_var.tolist() == [1.0] * 6  # type: ignore[index]
    assert counted.builds == 2


def test_construction_that_reads_its_parameters_ends_on_the_cpu() -> None:
    counted = Counted(needs_parameter_values)
    placed = place(counted.source)
    assert placed.placement == "cpu"
    assert 0 < placed.model.largest <= 0.5  # type: ignore[operator]  # Linear draws from ±1/√4
    assert counted.builds == 3


def test_without_memory_there_is_an_end() -> None:
    with pytest.raises(PlacementError, match="net cannot be built without memory") as caught:
        place(Counted(needs_parameter_values).source, "meta")
    assert caught.value.hint == "use --device cpu"


def raises(error: BaseException) -> Callable[[], object]:
    def factory() -> object:
        raise error

    return factory


@pytest.mark.parametrize(
    ("error", "builds"),
    [
        (TypeError("takes 2 arguments"), 1),
        (FileNotFoundError("weights.pt"), 1),
        (ImportError("no kernels"), 1),
        (ValueError("depth must be even"), 2),
        (RuntimeError("size mismatch"), 2),
    ],
)
def test_a_factorys_own_failure_is_told_soon(error: Exception, builds: int) -> None:
    counted = Counted(raises(error))
    with pytest.raises(BuildError, match=f"net raised {type(error).__name__}: {error}"):
        place(counted.source)
    assert counted.builds == builds


def test_something_else_than_a_module_is_told_at_once() -> None:
    counted = Counted(lambda: 3)
    with pytest.raises(BuildError, match="net returned an int"):
        place(counted.source)
    assert counted.builds == 1


def test_a_finished_module_is_copied_without_its_memory() -> None:
    instance = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    for placed in (place(Counted(lambda: instance).source), place_meta_parameters(Counted(lambda: instance).source)):
        assert placed.placement == "meta-parameters"
        assert all(parameter.is_meta for parameter in placed.model.parameters())
    assert not any(parameter.is_meta for parameter in instance.parameters())
    assert place(Counted(lambda: instance).source, "cpu").model is instance


def test_a_module_that_cannot_be_copied_stays_where_it_is() -> None:
    class Uncopyable(nn.Linear):
        def __deepcopy__(self, memo: dict[int, object]) -> nn.Module:
            raise TypeError("holds a lock")

    instance = Uncopyable(2, 2)
    placed = place(Counted(lambda: instance).source)
    assert placed.placement == "cpu"
    assert "TypeError: holds a lock" in placed.notes[0]


def test_the_dtype_is_that_of_floating_tensors_only() -> None:
    def factory() -> nn.Module:
        module = nn.BatchNorm1d(3)
        module.register_buffer("phases", torch.ones(2, dtype=torch.complex64))
        return module

    for device in ("auto", "cpu"):
        module = place(Counted(factory).source, device, dtype=torch.bfloat16).model
        assert {parameter.dtype for parameter in module.parameters()} == {torch.bfloat16}
        assert module.get_buffer("phases").dtype is torch.complex64
        assert module.get_buffer("num_batches_tracked").dtype is torch.int64


def test_models_above_the_limit_are_not_built() -> None:
    counted = Counted(lambda: nn.Linear(1024, 1024, bias=False))  # 4 MiB
    with pytest.raises(PlacementError) as caught:
        place_on_cpu(counted.source, limit_bytes=4 * 2**20 - 1)
    assert "net needs 4.000 MiB for its parameters and buffers, more than the 4.000 MiB" in caught.value.message
    assert caught.value.hint == "use --device cpu to build it all the same"
    assert counted.builds == 1  # only without memory
    assert place_on_cpu(counted.source, limit_bytes=4 * 2**20).placement == "cpu"
    assert place_on_cpu(counted.source, limit_bytes=None).model.weight.device.type == "cpu"  # type: ignore[union-attr]


def test_a_construction_of_unknown_size_is_stopped_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    layers: list[nn.Module] = []

    def grows() -> nn.Module:
        for _ in range(10):
            layers.append(nn.Linear(256, 256, bias=False))  # 256 KiB each
            float(layers[-1].weight.sum())  # type: ignore[operator, arg-type]
        return nn.ModuleList(layers)

    monkeypatch.setattr(placement_module, "unasked_limit", lambda: 3 * 2**18)
    with pytest.raises(PlacementError, match=r"net needs more than 768.0 KiB"):
        place(Counted(grows).source)
    assert len(layers) == 5  # one try on meta, one with meta parameters, three that fit


def test_parameters_that_were_freed_do_not_count() -> None:
    def replaces() -> nn.Module:
        for _ in range(10):
            module = nn.Linear(256, 256, bias=False)
        return module

    assert place_on_cpu(Counted(replaces).source, limit_bytes=3 * 2**18).placement == "cpu"


@pytest.mark.parametrize(
    ("device", "error", "message"),
    [
        ("gpu", UsageError, "torch knows no device 'gpu'"),
        ("", UsageError, "torch knows no device ''"),
        ("cuda:x", UsageError, "torch knows no device 'cuda:x'"),
        ("cuda:99", PlacementError, "there is no cuda:99"),
    ],
)
def test_devices_that_are_not_there(device: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        place(Counted(lambda: nn.Linear(1, 1)).source, device)


def test_out_of_memory_is_a_matter_of_placement() -> None:
    source = Counted(raises(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))).source
    for device in ("auto", "cpu"):
        with pytest.raises(PlacementError, match="net does not fit the memory"):
            place(source, device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu() -> None:
    placed = place(Counted(lambda: nn.Linear(2, 2)).source, "cuda")
    assert isinstance(placed, Placed)
    assert placed.placement == "cuda:0"
    assert placed.model.weight.device == torch.device("cuda:0")  # type: ignore[union-attr]
