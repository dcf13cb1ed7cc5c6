"""Observe one decoding step of a causal language model that keeps a key-value cache."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from torchstat_cli.capture.attention import attention_backend
from torchstat_cli.capture.run import RunOptions, prepared
from torchstat_cli.capture.session import PreparedRun, run_error
from torchstat_cli.capture.tape import Knows
from torchstat_cli.errors import ModelstatError, UsageError
from torchstat_cli.records import Event

_CACHE = "past_key_values"
_DEEPEST = 4  # levels of lists and plain objects between a cache and its tensors


@dataclass(frozen=True)
class DecodeStep:
    """One token more, after a number of tokens in the cache."""

    events: tuple[Event, ...]
    cache_bytes: int  # after the step


def record_decode(
    model: nn.Module, name: str, batch: int, cached: int, knows: Knows, options: RunOptions
) -> DecodeStep:
    """Fill the cache with ``cached`` tokens, then observe the step that adds one.

    Args:
        model: takes ``past_key_values`` and ``use_cache``, as transformers' causal models do.
        name: of the argument that takes token ids.
        batch: sequences.
        cached: tokens in the cache before the step.
        knows: whether a formula exists for an operator.
        options: how to run.

    Raises:
        UsageError: the model keeps no cache.
        ForwardError: the model raised.
    """
    if _CACHE not in inspect.signature(model.forward).parameters:
        raise UsageError(
            f"{type(model).__name__} takes no {_CACHE}, so it keeps no cache to generate with",
            "--generate wants a causal language model of transformers: hf/NAME",
        )
    prompt = {name: torch.ones(batch, cached, dtype=torch.int64), "use_cache": True}
    with (
        prepared(model, (), prompt, knows, options) as run,
        attention_backend(options.attention, on_meta=options.on_meta, trains=False),
        torch.inference_mode(),
        run.session,
    ):
        cache = _cache_of(_called(run, model, run.kwargs))
        run.session.tape.begin_phase()
        token = run.kwargs[name][:, :1].clone()
        run.session.tape.begin_phase()
        output = _called(run, model, {name: token, "use_cache": True, _CACHE: cache})
        events = run.session.recording().events
        return DecodeStep(events, _bytes(_tensors(_cache_of(output), _DEEPEST)))


def _called(run: PreparedRun, model: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    try:
        return model(**kwargs)
    except ModelstatError:
        raise
    except Exception as error:
        raise run_error(run.session, error) from error


def _cache_of(output: Any) -> Any:
    cache = output.get(_CACHE) if isinstance(output, dict) else getattr(output, _CACHE, None)
    if cache is None:
        raise UsageError(f"the model returned no {_CACHE}", "--generate wants a causal language model with a cache")
    return cache


def _tensors(value: Any, depth: int) -> Iterator[torch.Tensor]:
    """The tensors of a cache: an object of layers, which are objects of tensors."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item, depth - 1)
    elif depth and hasattr(value, "__dict__") and not isinstance(value, (type, nn.Module)):
        for item in vars(value).values():
            yield from _tensors(item, depth - 1)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of the distinct storages."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())
