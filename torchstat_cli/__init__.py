"""What a PyTorch model costs, and what happens inside it.

    import torchstat_cli as ms
    report = ms.profile(model, torch.randn(1, 3, 224, 224))

Names are resolved on first use, so that importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from torchstat_cli.torch_version import require_torch
from torchstat_cli.version import __version__ as __version__

if TYPE_CHECKING:
    from torchstat_cli.activations import (
        Extractor,
        IntermediateExtractor,
        IntermediateExtractorBase,
        ObserveOptions,
        Recorder,
        create_feature_extractor,
        get_graph_node_names,
        observe,
    )
    from torchstat_cli.api import Capture, explain, formula, instrument, load_model, load_report, profile, stat, sweep
    from torchstat_cli.errors import ModelstatError
    from torchstat_cli.records import Cost, OpRecord, Profile
    from torchstat_cli.report.explanation import Explained
    from torchstat_cli.report.report import Report

_HOMES = {
    "api": ("Capture", "explain", "formula", "instrument", "load_model", "load_report", "profile", "stat", "sweep"),
    "activations": (
        "Extractor",
        "IntermediateExtractor",
        "IntermediateExtractorBase",
        "ObserveOptions",
        "Recorder",
        "create_feature_extractor",
        "get_graph_node_names",
        "observe",
    ),
    "errors": ("ModelstatError",),
    "records": ("Cost", "OpRecord", "Profile"),
    "report.explanation": ("Explained",),
    "report.report": ("Report",),
}
_ON_TORCH = ("api", "activations")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Capture",
    "Cost",
    "Explained",
    "Extractor",
    "IntermediateExtractor",
    "IntermediateExtractorBase",
    "ModelstatError",
    "ObserveOptions",
    "OpRecord",
    "Profile",
    "Recorder",
    "Report",
    "create_feature_extractor",
    "explain",
    "formula",
    "get_graph_node_names",
    "instrument",
    "load_model",
    "load_report",
    "observe",
    "profile",
    "stat",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOME_OF[name] in _ON_TORCH:
        require_torch()
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
