"""What happens inside a model: extractors, recorders, node names, attention maps."""

from torchstat_cli.activations.attention_maps import MapSubset
from torchstat_cli.activations.extractor import Extractor
from torchstat_cli.activations.features import create_feature_extractor, get_graph_node_names
from torchstat_cli.activations.intermediate import IntermediateExtractor
from torchstat_cli.activations.intermediate_base import IntermediateExtractorBase
from torchstat_cli.activations.keeper import KeepOptions
from torchstat_cli.activations.observation import Observation, ObservationReport, ObserveOptions, observe
from torchstat_cli.activations.recorder import Recorder

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
