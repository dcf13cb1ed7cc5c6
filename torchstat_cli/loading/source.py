"""What a spec points at, before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from torchstat_cli.errors import ModelstatError


@contextmanager
def announced(notices: tuple[str, ...]) -> Iterator[None]:
    """Around work on a model: an error carries the notices on its spec, so that it is known whose model failed."""
    try:
        yield
    except ModelstatError as error:
        error.notices = notices
        raise


@dataclass(frozen=True)
class ModelSource:
    """A model that can be built, as often as a placement needs."""

    spec: str  # as written
    resolved: str  # "torchvision.models:resnet18"
    build: Callable[[], nn.Module]  # returns the module or raises BuildError
    example_inputs: Callable[[], object] | Sequence[str] | None = None  # the usual inputs, or specs of them
    source: str | None = None  # "file:line" of the factory
    notices: tuple[str, ...] = ()  # what the user should know about how the spec was resolved
