"""What every library entry does: check the arguments, refuse weights, make the source."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchstat_cli.errors import SpecError
from torchstat_cli.loading.factories import build_module, check_arguments, location
from torchstat_cli.loading.source import ModelSource

_WEIGHTS = ("weights", "weights_backbone", "pretrained", "pretrained_backbone", "checkpoint_path")


def refuse_weights(arguments: Mapping[str, object]) -> None:
    """Costs do not depend on weights, and looking at a model must not download any.

    Raises:
        SpecError: an argument asks for pretrained weights.
    """
    for name in _WEIGHTS:
        if arguments.get(name) not in (None, False, "", "None"):
            raise SpecError(
                f"the argument {name}={arguments[name]} asks for pretrained weights, which are never downloaded",
                hint=f"leave --arg {name} out: costs do not depend on the weights",
            )


def library_source(
    resolved: str,
    factory: Callable[..., Any],
    arguments: Mapping[str, object],
    *,
    defaults: Mapping[str, object],
    example_inputs: Callable[[], object] | Sequence[str] | None,
) -> ModelSource:
    """A source that calls a library's builder.

    Args:
        resolved: what the user is told was built.
        factory: the builder.
        arguments: the user's, which win over ``defaults``.
        defaults: what keeps the builder off the network.
        example_inputs: the model's usual inputs.

    Raises:
        SpecError: an argument is unknown or asks for weights.
    """
    refuse_weights(arguments)
    merged = {**defaults, **arguments}
    check_arguments(resolved, factory, merged)
    return ModelSource(
        spec=resolved,
        resolved=resolved,
        build=functools.partial(build_module, resolved, functools.partial(factory, **merged)),
        example_inputs=example_inputs,
        source=location(factory),
    )
