"""What happens inside a model: extractors, recorders, node names, attention maps.

Names are resolved on first use: the wrapper modules import torch's compiler, which alone takes a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchstat_cli.activations.attention.subset import MapSubset
    from torchstat_cli.activations.extractor import Extractor
    from torchstat_cli.activations.features import create_feature_extractor, get_graph_node_names
    from torchstat_cli.activations.intermediate import IntermediateExtractor
    from torchstat_cli.activations.intermediate_base import IntermediateExtractorBase
    from torchstat_cli.activations.recorder import Recorder
    from torchstat_cli.activations.runtime.keeper import KeepOptions
    from torchstat_cli.activations.runtime.observation import Observation, ObservationReport, ObserveOptions, observe

_HOMES = {
    "attention.subset": ("MapSubset",),
    "extractor": ("Extractor",),
    "features": ("create_feature_extractor", "get_graph_node_names"),
    "intermediate": ("IntermediateExtractor",),
    "intermediate_base": ("IntermediateExtractorBase",),
    "recorder": ("Recorder",),
    "runtime.keeper": ("KeepOptions",),
    "runtime.observation": ("Observation", "ObservationReport", "ObserveOptions", "observe"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Extractor",
    "IntermediateExtractor",
    "IntermediateExtractorBase",
    "KeepOptions",
    "MapSubset",
    "Observation",
    "ObservationReport",
    "ObserveOptions",
    "Recorder",
    "create_feature_extractor",
    "get_graph_node_names",
    "observe",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
