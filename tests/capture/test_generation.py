"""One decoding step, by models that name their cache in any of the usual ways: 6 keys of width 4, 2 sequences."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from torchstat_cli.calculators.work import add_up
from torchstat_cli.capture.generation import DecodeStep, record_decode
from torchstat_cli.capture.run import RunOptions
from torchstat_cli.errors import UsageError
from torchstat_cli.tasks.registry import operator_registry

BATCH, CACHED, WIDTH, WORDS = 2, 5, 4, 8
# One query against 6 keys, their weighted sum, and the head.
MADDS = BATCH * (WIDTH * (CACHED + 1) + WIDTH * (CACHED + 1) + WIDTH * WORDS)
CACHE_BYTES = 4 * BATCH * (CACHED + 1) * WIDTH  # float32


class Reader(nn.Module):
    """Attention over everything read so far."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)

    def read(self, ids: Tensor, cache: Any) -> tuple[Tensor, tuple[Tensor]]:
        """Logits, and the cache with the new keys in it."""
        new = self.embedding(ids)
        keys = new if cache is None else torch.cat([cache[0], new], dim=1)
        return self.head(new @ keys.mT @ keys), (keys,)


class OldName(Reader):
    def forward(self, input_ids: Tensor, past_key_values: Any = None, use_cache: bool = False) -> Any:
        logits, cache = self.read(input_ids, past_key_values)
        return {"logits": logits, "past_key_values": cache}


class NewName(Reader):
    def forward(self, input_ids: Tensor, cache: Any = None, use_cache: bool = False) -> Any:
        logits, kept = self.read(input_ids, cache)
        return {"logits": logits, "cache": kept}


class StateSpaceName(Reader):
    def forward(self, input_ids: Tensor, cache_params: Any = None, use_cache: bool = False) -> Any:
        logits, kept = self.read(input_ids, cache_params)
        return SimpleNamespace(logits=logits, cache_params=kept)


class OldArgumentNewOutput(Reader):
    """A hub's code beside a library whose outputs rename their fields."""

    def forward(self, input_ids: Tensor, past_key_values: Any = None, use_cache: bool = False, **kwargs: Any) -> Any:
        logits, cache = self.read(input_ids, past_key_values)
        return SimpleNamespace(logits=logits, cache=cache)


class NewArgumentOldOutput(Reader):
    def forward(self, input_ids: Tensor, cache: Any = None, use_cache: bool = False) -> Any:
        logits, kept = self.read(input_ids, cache)
        return SimpleNamespace(logits=logits, past_key_values=kept)


class KeywordOnly(Reader):
    def forward(self, *, input_ids: Tensor, use_cache: bool = False, cache: Any = None) -> Any:
        logits, kept = self.read(input_ids, cache)
        return {"logits": logits, "cache": kept}


class WithoutUseCache(Reader):
    def forward(self, input_ids: Tensor, cache: Any = None) -> Any:
        logits, kept = self.read(input_ids, cache)
        return {"logits": logits, "cache": kept}


class CacheIsASwitch(Reader):
    """``cache`` says whether to keep one; the cache itself has the older name."""

    def forward(
        self, input_ids: Tensor, past_key_values: Any = None, cache: bool = True, use_cache: bool = False
    ) -> Any:
        logits, kept = self.read(input_ids, past_key_values)
        return SimpleNamespace(logits=logits, cache=cache, past_key_values=kept)


class KeepsItInTables(Reader):
    """Layers of a cache that hold a table of states, as those of state-space models do."""

    def forward(self, input_ids: Tensor, cache: Any = None, use_cache: bool = False) -> Any:
        states = None if cache is None else tuple(cache.layers[0].states.values())
        logits, (keys,) = self.read(input_ids, states)
        return {"logits": logits, "cache": SimpleNamespace(layers=[SimpleNamespace(states={0: keys})])}


class PassesOn(nn.Module):
    """A wrapper whose signature names nothing."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)


def renamed(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Take the old name for the new one, as transformers' decorator of deprecated arguments does."""

    @functools.wraps(forward)
    def accepting(*args: Any, **kwargs: Any) -> Any:
        assert "past_key_values" not in kwargs, "the deprecated name was used"
        return forward(*args, **kwargs)

    return accepting


class Decorated(NewName):
    forward = renamed(NewName.forward)


class SwallowsTheCache(Reader):
    """What it does not know it ignores, the cache as well."""

    def forward(self, input_ids: Tensor, **kwargs: Any) -> Any:
        logits, cache = self.read(input_ids, None)
        return {"logits": logits, "past_key_values": cache}


class KeepsNothing(Reader):
    def forward(self, input_ids: Tensor, **kwargs: Any) -> Any:
        return {"logits": self.read(input_ids, None)[0]}


class TakesNothing(Reader):
    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Any:
        return self.read(input_ids, None)


class TakesItByPlaceAlone(Reader):
    def forward(self, input_ids: Tensor, cache: Any = None, /) -> Any:
        return self.read(input_ids, cache)


class SaysWhereItsIdsLie(NewName):
    seen: ClassVar[set[str]] = set()  # not of the instance, which a run leaves as it was

    def forward(self, input_ids: Tensor, cache: Any = None, use_cache: bool = False) -> Any:
        self.seen.add(input_ids.device.type)
        return super().forward(input_ids, cache, use_cache)


def decode(model: nn.Module, *, on_meta: bool = True) -> DecodeStep:
    return record_decode(model, "input_ids", BATCH, CACHED, operator_registry().knows, RunOptions(on_meta=on_meta))


@pytest.mark.parametrize("on_meta", [True, False])
@pytest.mark.parametrize(
    "model",
    [
        OldName(),
        NewName(),
        StateSpaceName(),
        OldArgumentNewOutput(),
        NewArgumentOldOutput(),
        KeywordOnly(),
        WithoutUseCache(),
        CacheIsASwitch(),
        Decorated(),
        KeepsItInTables(),
        PassesOn(OldName()),
        PassesOn(NewName()),
        PassesOn(StateSpaceName()),
    ],
    ids=lambda model: type(getattr(model, "inner", model)).__name__ + " inside" * isinstance(model, PassesOn),
)
def test_the_step_reads_the_cache(model: nn.Module, on_meta: bool) -> None:
    step = decode(model, on_meta=on_meta)
    assert (step.prompt_bytes, step.cache_bytes) == (4 * BATCH * CACHED * WIDTH, CACHE_BYTES)
    assert add_up(step.events, operator_registry()).whole.madds == MADDS


@pytest.mark.parametrize("model", [TakesNothing(), TakesItByPlaceAlone(), nn.Linear(2, 2)])
def test_a_model_that_takes_no_cache(model: nn.Module) -> None:
    with pytest.raises(UsageError, match="takes no argument cache, past_key_values or cache_params"):
        decode(model)


def test_compiled_code_without_a_signature() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
    with pytest.raises(UsageError, match="takes no argument cache"):
        decode(traced)


@pytest.mark.parametrize("model", [KeepsNothing(), PassesOn(KeepsNothing())])
def test_a_model_that_returns_no_cache(model: nn.Module) -> None:
    with pytest.raises(UsageError, match=f"{type(model).__name__} returned no cache"):
        decode(model)


def test_a_model_that_ignores_the_cache() -> None:
    with pytest.raises(UsageError, match="SwallowsTheCache ignores the cache that it was given as past_key_values"):
        decode(SwallowsTheCache())


def test_a_real_run_has_its_ids_where_the_model_lies() -> None:
    """The meta device stands for any that is not the CPU."""
    decode(SaysWhereItsIdsLie().to("meta"), on_meta=False)
    assert SaysWhereItsIdsLie.seen == {"meta"}
