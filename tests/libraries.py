"""Import torchvision and timm for tests, also next to a CPU build of torch; skip where they are not installed."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

import pytest
import torch

_MISSING_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": (
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    ),
}
_kept_alive: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """torchvision, with the schemas of its compiled operators defined where its CUDA wheel cannot load beside CPU torch.

    The schemas are defined only after the import failed: where the real extension loads, defining them aborts the process.
    """
    pytest.importorskip("PIL")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _MISSING_SCHEMAS.values():
        library.define(schema)
    _kept_alive.append(library)
    return importlib.import_module("torchvision")


def import_timm() -> ModuleType:
    """timm, which imports torchvision."""
    import_torchvision()
    return pytest.importorskip("timm")
