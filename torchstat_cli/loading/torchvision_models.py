"""torchvision's models by name: random weights, and the input size that each one's published weights were made for."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch

from torchstat_cli.loading.builders import library_source
from torchstat_cli.loading.source import ModelSource

_SEGMENTATION_SIZE = 520  # height and width to which the COCO transforms resize
_VIDEO_FRAMES = 16  # the clip length of the Kinetics transforms
_FLOW_SIZE = 512  # divisible by 8, large enough for RAFT's correlation pyramid
_DETECTION_SIZE = 800  # the shorter side to which the detection models resize by default


def _models() -> Any:
    return importlib.import_module("torchvision.models")


def names() -> list[str]:
    """Every registered builder: classification, detection, segmentation, video, optical flow, quantised."""
    return cast("list[str]", _models().list_models())


def knows(name: str) -> bool:
    """Whether torchvision registers a builder of that name."""
    return name in names()


def find(name: str, arguments: Mapping[str, object], *, online: bool = False) -> ModelSource:
    """The source of a torchvision model; nothing is downloaded."""
    builder = _models().get_model_builder(name)
    accepted = inspect.signature(builder).parameters
    defaults: dict[str, object] = {key: None for key in ("weights", "weights_backbone") if key in accepted}
    if name.endswith(("googlenet", "inception_v3")):
        # Values only: the slow random scheme costs seconds, and the default warns that it will change.
        defaults["init_weights"] = False
    package = builder.__module__.rpartition(".")[0]
    return library_source(
        f"{package}:{builder.__name__}",
        builder,
        arguments,
        defaults=defaults,
        example_inputs=_usual_inputs(name, package, arguments),
    )


def _usual_inputs(name: str, package: str, arguments: Mapping[str, object]) -> Any:
    """Input specs, or a callable where a spec cannot say it."""
    kind = package.rpartition(".")[2]
    if kind == "detection":
        return functools.partial(_one_image, _detection_size(name))
    if kind == "segmentation":
        return (f"1,3,{_SEGMENTATION_SIZE},{_SEGMENTATION_SIZE}",)
    if kind == "optical_flow":
        return (f"1,3,{_FLOW_SIZE},{_FLOW_SIZE}",) * 2
    height, width = _crop_size(name, arguments)
    if kind == "video":
        return (f"1,3,{_VIDEO_FRAMES},{height},{width}",)
    return (f"1,3,{height},{width}",)


def _one_image(size: int) -> list[torch.Tensor]:
    """Detection models take a list of images without a batch axis."""
    return [torch.zeros(3, size, size)]


def _detection_size(name: str) -> int:
    # These carry the size they were trained for in their names and resize to it.
    return next((int(size) for size in ("300", "320") if size in name), _DETECTION_SIZE)


def _crop_size(name: str, arguments: Mapping[str, object]) -> tuple[int, int]:
    """Height and width of the default weights' transform, or what the arguments ask the builder for."""
    size = arguments.get("image_size")
    if size is None and name.startswith("vit_"):
        # Positions are learnt per size, and without weights every ViT is built for 224, also where the default
        # weights were tuned at 518.
        size = 224
    if size is None:
        transform = _models().get_model_weights(name).DEFAULT.transforms()
        size = getattr(transform, "crop_size", 224)
    sizes = list(size) if isinstance(size, Sequence) else [size]
    return cast("tuple[int, int]", (sizes[0], sizes[-1]))
