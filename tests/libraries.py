"""Import torchvision and timm for tests, also next to a CPU build of torch; skip where they are not installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
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
    "deform_conv2d": (
        "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, "
        "SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
        "SymInt offset_groups, bool use_mask) -> Tensor"
    ),
}
_MODULES_THAT_ASK = ("boxes", "deform_conv", "roi_align")
_kept_alive: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """torchvision, with the schemas of its compiled operators defined where its CUDA wheel cannot load here.

    They are defined only after the import failed: where the real extension loads, defining them aborts the process.
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


@contextmanager
def torchvision_operators() -> Iterator[None]:
    """torchvision's compiled operators may be called on meta tensors, also where only their schemas are there.

    Its Python asks first whether the extension was loaded; inside, the answer is yes, and the shapes come from
    torchvision's own meta functions.
    """
    torchvision = import_torchvision()
    if torchvision.extension._has_ops():
        yield
        return
    shapes = importlib.import_module("torchvision._meta_registrations")
    kernels = torch.library.Library("torchvision", "IMPL", "Meta")
    for name in ("roi_align", "deform_conv2d"):
        kernels.impl(name, getattr(shapes, f"meta_{name}"))
    with pytest.MonkeyPatch.context() as patch:
        for name in _MODULES_THAT_ASK:
            module = importlib.import_module(f"torchvision.ops.{name}")
            patch.setattr(module, "_assert_has_ops", lambda: None)
            patch.setattr(module, "_has_ops", lambda: True, raising=False)
        yield
    kernels._destroy()


def import_timm() -> ModuleType:
    """timm, which imports torchvision."""
    import_torchvision()
    return pytest.importorskip("timm")


def import_transformers() -> ModuleType:
    """transformers, which imports torchvision where it finds it."""
    if importlib.util.find_spec("torchvision") is not None:
        import_torchvision()
    return pytest.importorskip("transformers")
