"""Observe one decoding step of a causal language model that keeps a key-value cache."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from torchstat_cli.capture.autograd import with_gradients_as_needed
from torchstat_cli.capture.emulation.attention_backend import attention_backend
from torchstat_cli.capture.failures import run_error
from torchstat_cli.capture.run import RunOptions, prepared
from torchstat_cli.capture.session import PreparedRun
from torchstat_cli.capture.tape import Knows
from torchstat_cli.errors import ModelstatError, UsageError
from torchstat_cli.records import Event
from torchstat_cli.torch_access.wrappers import home_of

_NAMES = ("cache", "past_key_values", "cache_params")
"""Of the argument that takes the cache and of the output's field that returns it. transformers calls both ``cache``;
before 5.24 they were ``past_key_values``, in state-space models ``cache_params``."""

_DEEPEST = 4  # levels of lists and plain objects between a cache and its tensors
_LISTED = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
_REMEDY = "--generate wants a causal language model that takes and returns its cache, as transformers' do: hf/PATH"


@dataclass(frozen=True)
class DecodeStep:
    """One token more, after a number of tokens in the cache."""

    events: tuple[Event, ...]
    prompt_bytes: int  # of the cache before the step
    cache_bytes: int  # after it
    assumptions: tuple[str, ...] = ()  # how questions about unknown values were answered


@dataclass(frozen=True)
class _Accepted:
    """What ``forward`` takes by keyword."""

    caches: tuple[str, ...]  # of the usual names of a cache
    switch: bool  # use_cache
    collects: bool  # any other name as well: **kwargs

    def name_for(self, returned: str) -> str:
        """How to give a cache that came back under a name: the same where it fits, as it does beneath **kwargs."""
        return self.caches[0] if self.caches and returned not in self.caches else returned


def record_decode(
    model: nn.Module, name: str, batch: int, cached: int, knows: Knows, options: RunOptions
) -> DecodeStep:
    """Fill the cache with ``cached`` tokens, then observe the step that adds one.

    Args:
        model: takes and returns a cache, as transformers' causal models do.
        name: of the argument that takes token ids.
        batch: sequences.
        cached: tokens in the cache before the step.
        knows: whether a formula exists for an operator.
        options: how to run.

    Raises:
        UsageError: the model takes, returns or reads no cache.
        ForwardError: the model raised.
    """
    accepted = _accepted(model)
    return with_gradients_as_needed(
        lambda needed: _decode(model, accepted, name, batch, cached, knows, replace(options, gradients=needed))
    )


def _decode(
    model: nn.Module, accepted: _Accepted, name: str, batch: int, cached: int, knows: Knows, options: RunOptions
) -> DecodeStep:
    settings = {"use_cache": True} if accepted.switch or accepted.collects else {}
    device = "cpu" if options.on_meta else home_of(model)
    prompt = {name: torch.ones(batch, cached, dtype=torch.int64, device=device), **settings}
    with (
        prepared(model, (), prompt, knows, options) as run,
        attention_backend(options.attention, options.place(model), trains=False),
        options.gradients.mode(),
        run.session,
    ):
        returned, cache = _cache_of(model, _called(run, model, run.kwargs))
        argument, before = accepted.name_for(returned), _shown_bytes(cache)
        run.session.tape.begin_phase()
        token = run.kwargs[name][:, :1].clone()
        run.session.tape.begin_phase()
        output = _called(run, model, {name: token, **settings, argument: cache})
        recording = run.session.recording()
        _, cache = _cache_of(model, output)
        # A cache of the new token alone, where the prompt left more: the step never saw the prompt.
        if cached > 1 and _shown_bytes(cache) * cached <= before:
            raise UsageError(f"{type(model).__name__} ignores the cache that it was given as {argument}", _REMEDY)
        return DecodeStep(recording.events, before, _bytes(_tensors(cache, _DEEPEST)), recording.assumptions)


def _accepted(model: nn.Module) -> _Accepted:
    """Read the signature of ``forward``.

    Raises:
        UsageError: it has no argument for a cache.
    """
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []  # compiled code may have no signature
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {parameter.name for parameter in parameters if parameter.kind in keywords}
    accepted = _Accepted(
        caches=tuple(name for name in _NAMES if name in named),
        switch="use_cache" in named,
        collects=any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters),
    )
    if not accepted.caches and not accepted.collects:
        raise UsageError(
            f"{type(model).__name__} takes no argument {_LISTED}, so no step can be given the cache of the step before",
            _REMEDY,
        )
    return accepted


def _called(run: PreparedRun, model: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    try:
        return model(**kwargs)
    except ModelstatError:
        raise
    except Exception as error:
        raise run_error(run.session.hooks, error) from error


def _cache_of(model: nn.Module, output: Any) -> tuple[str, Any]:
    """The cache in an output and its name: the first of the usual ones that holds tensors.

    Raises:
        UsageError: there is none.
    """
    # Asked for its keys first: transformers warns whoever asks an output for an old name.
    fields = dict(output) if isinstance(output, Mapping) else {name: getattr(output, name, None) for name in _NAMES}
    for name in _NAMES:
        if any(True for _ in _tensors(fields.get(name), _DEEPEST)):
            return name, fields[name]
    raise UsageError(f"{type(model).__name__} returned no cache: its output has no tensors in {_LISTED}", _REMEDY)


def _tensors(value: Any, depth: int) -> Iterator[torch.Tensor]:
    """The tensors of a cache: an object of layers, which are objects of tensors or of tables of them."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, (list, tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item, depth - 1)
    elif depth and hasattr(value, "__dict__") and not isinstance(value, (type, nn.Module)):
        for item in vars(value).values():
            yield from _tensors(item, depth - 1)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of the distinct storages."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def _shown_bytes(cache: Any) -> int:
    """Bytes of what a cache shows, of storages that may be larger: a window is a view of the whole prompt."""
    shown = {id(tensor): tensor.numel() * tensor.element_size() for tensor in _tensors(cache, _DEEPEST)}
    return sum(shown.values())
