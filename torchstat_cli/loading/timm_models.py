"""timm's models by name: random weights, and the input size of each one's pretrained configuration."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from torchstat_cli.loading.builders import library_source
from torchstat_cli.loading.factories import location
from torchstat_cli.loading.source import ModelSource

_USUAL_SIZE = (3, 224, 224)


def _timm() -> Any:
    return importlib.import_module("timm")


def names() -> list[str]:
    """Every registered architecture."""
    return cast("list[str]", _timm().list_models())


def knows(name: str) -> bool:
    """Whether timm registers the architecture, also with a weights tag (``resnet18.a1_in1k``)."""
    return "/" not in name and ":" not in name and bool(_timm().is_model(name))


def find(name: str, arguments: Mapping[str, object], *, online: bool = False) -> ModelSource:
    """The source of a timm model; nothing is downloaded."""
    entry = _timm().model_entrypoint(name)  # a weights tag is allowed
    source = library_source(
        f"{entry.__module__}:{name}",
        functools.partial(_timm().create_model, name),
        arguments,
        defaults={"pretrained": False},
        example_inputs=(_usual_input(name, arguments),),
    )
    return replace(source, source=location(entry))


def _usual_input(name: str, arguments: Mapping[str, object]) -> str:
    configuration = _timm().get_pretrained_cfg(name, allow_unregistered=True)
    channels, height, width = configuration.input_size if configuration is not None else _USUAL_SIZE
    channels = arguments.get("in_chans", channels)
    size = arguments.get("img_size")
    if isinstance(size, int):
        height = width = size
    elif isinstance(size, (tuple, list)):
        height, width = size
    return f"1,{channels},{height},{width}"
