"""What happens inside a model: extractors, recorders, node names, attention maps."""

from .attention_maps import MapSubset
from .extractor import Extractor
from .features import create_feature_extractor, get_graph_node_names
from .intermediate import IntermediateExtractor
from .intermediate_base import IntermediateExtractorBase
from .keeper import KeepOptions
from .observation import Observation, ObservationReport, ObserveOptions, observe
from .recorder import Recorder

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
