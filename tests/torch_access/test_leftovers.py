"""What a run left in globals, classes and functools' caches is taken back; what cannot be is named."""

from __future__ import annotations

import functools
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.torch_access import leaky
from torchstat_cli.errors import ForwardError
from torchstat_cli.torch_access import leftovers

ROWS = torch.ones(1, 4)


@pytest.fixture(autouse=True)
def fresh() -> None:
    leaky.CACHE.pop("table", None)
    leaky.TABLE = leaky.HELPER.table = leaky.ClassAttribute.cache = None
    leaky.LOG.clear()
    leaky.mask.cache_clear()
    leaky.CachedMethod.mask.cache_clear()
    if "made" in vars(leaky.NewClassAttribute):
        del leaky.NewClassAttribute.made  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{}, {"train": True}, {"memory": True}])
@pytest.mark.parametrize("kind", leaky.LEAKY, ids=lambda kind: kind.__name__)
def test_next_real_call_meets_nothing_of_the_run(kind: type[leaky.Base], options: dict[str, Any]) -> None:
    model = kind()
    expected = ms.profile(model, ROWS, **options).total.madds
    output = model(ROWS)
    output.sum().backward()
    assert output.device.type == "cpu"
    assert ms.profile(model, ROWS, **options).total.madds == expected


def test_what_was_there_before_stays() -> None:
    for kind in leaky.LEAKY:
        ms.profile(kind(), ROWS)
    assert leaky.CACHE == {"before": 1}
    assert leaky.TABLE is leaky.HELPER.table is leaky.ClassAttribute.cache is None
    assert leaky.LOG == []
    assert "made" not in vars(leaky.NewClassAttribute)


def test_real_entries_of_the_users_own_calls_stay() -> None:
    model = leaky.CachedFunction()
    model(ROWS)
    table = leaky.mask(4, ROWS.device)
    leaky.GlobalDict()(ROWS)
    entry = leaky.CACHE["table"]["nested"][0]
    ms.profile(nn.Sequential(leaky.GlobalName(), leaky.GlobalDict()), ROWS)
    assert leaky.mask(4, ROWS.device) is table
    assert leaky.CACHE["table"]["nested"][0] is entry


def test_a_run_that_raises_is_healed_too() -> None:
    with pytest.raises(ForwardError):
        ms.profile(leaky.Failing(), ROWS, device="meta")
    assert leaky.CACHE == {"before": 1}


def test_what_cannot_be_taken_back_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace of a file that defines none of the model's classes."""
    elsewhere: Any = type(sys)("elsewhere_of_a_test")
    monkeypatch.setitem(sys.modules, elsewhere.__name__, elsewhere)

    class Careless(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result = super().forward(x)
            sys.modules["elsewhere_of_a_test"].kept = result  # type: ignore[attr-defined]
            return result

    (notice,) = ms.profile(Careless(4, 4), ROWS).provenance.notices
    place = "a tensor of the run (1x4) lives on in elsewhere_of_a_test.kept"
    assert notice == f"{place}: clear it before the next real call"


def test_every_new_entry_of_a_cache_elsewhere_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere: Any = type(sys)("elsewhere_of_a_test")
    elsewhere.cache = {"before": 1}
    monkeypatch.setitem(sys.modules, elsewhere.__name__, elsewhere)

    class Caching(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for size in range(1, 7):
                sys.modules["elsewhere_of_a_test"].cache[size] = x.new_ones(size)  # type: ignore[attr-defined]
            return super().forward(x)

    assert ms.profile(Caching(4, 4), ROWS).provenance.notices == ()
    assert elsewhere.cache == {"before": 1}


def test_what_goes_with_another_leftover_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clearing a cache lets go of all in it; nobody's None may be taken for one of them."""
    elsewhere: Any = type(sys)("elsewhere_of_a_test")
    elsewhere.cached = functools.lru_cache(lambda size: torch.ones(size))
    monkeypatch.setitem(sys.modules, elsewhere.__name__, elsewhere)

    def drop_something(items: list[Any], *rest: Any) -> None:
        assert all(item is not None for item in items)
        drop(items, *rest)

    drop = leftovers._drop
    monkeypatch.setattr(leftovers, "_drop", drop_something)

    class Caching(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for size in range(1, 5):
                sys.modules["elsewhere_of_a_test"].cached(size)  # type: ignore[attr-defined]
            return super().forward(x)

    assert ms.profile(Caching(4, 4), ROWS).provenance.notices == ()
    assert elsewhere.cached.cache_info().currsize == 0


def test_ordinary_models_leave_nothing() -> None:
    assert ms.profile(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), ROWS).provenance.notices == ()


def test_cycles_of_the_model_are_no_leftovers() -> None:
    class Cyclic(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            knot = SimpleNamespace(value=super().forward(x))
            knot.itself = knot
            result: torch.Tensor = knot.value
            return result

    assert ms.profile(Cyclic(4, 4), ROWS).provenance.notices == ()


class Converting(nn.Module):
    """Asks its own tensors for what they are already, which torch answers with the very same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(4))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)
        self.plain = torch.ones(4)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Also counts its calls in place, as normalization does in training."""
        self.calls.add_(1)
        return rows.float() * self.scale.to(rows.device) + self.plain.contiguous()


def test_meta_tensors_of_the_model_stay_where_an_operator_hands_them_back() -> None:
    with torch.device("meta"):
        model = Converting()
    before = {name: id(value) for name, value in (*model.named_buffers(), ("plain", model.plain))}
    for _ in range(2):
        assert ms.profile(model, ROWS.to("meta")).total.flops == 8  # a product and a sum of 4
    assert {name: id(value) for name, value in (*model.named_buffers(), ("plain", model.plain))} == before


def test_meta_inputs_stay_in_the_callers_containers() -> None:
    with torch.device("meta"):
        model, rows = Converting(), torch.ones(1, 4)
    batch, batches = {"rows": rows}, [rows]
    ms.profile(model, kwargs=batch)
    ms.profile(model, *batches)
    assert batch["rows"] is batches[0] is rows


def test_running_statistics_of_a_model_on_meta_stay() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.BatchNorm1d(4))
    before = {name: id(value) for name, value in model.state_dict(keep_vars=True).items()}
    ms.profile(model, torch.ones(2, 4, device="meta"), mode="train")
    assert {name: id(value) for name, value in model.state_dict(keep_vars=True).items()} == before
