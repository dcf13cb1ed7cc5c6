"""The frozen records that flow between the rooms; plain Python values, no torch."""

from torchstat_cli.records.experts import Mixture
from torchstat_cli.records.fit import (
    FitPoint,
    FitResult,
)
from torchstat_cli.records.generation import (
    GenerationPart,
    GenerationProfile,
)
from torchstat_cli.records.memory import (
    CLASSES,
    NOT_MODELLED,
    Block,
    Frame,
    MemoryLog,
    MemoryProfile,
    ModuleMemory,
    Moment,
    Phase,
    PhasePeak,
    Share,
)
from torchstat_cli.records.operators import (
    Cost,
    OpRecord,
    Shape,
    TensorRecord,
)
from torchstat_cli.records.profile import (
    RULES,
    SCHEMA,
    SUMMED,
    InputRecord,
    ModuleRecord,
    OperatorTotal,
    Profile,
    Provenance,
    Totals,
    UnknownOperator,
    summed_training,
)
from torchstat_cli.records.recording import (
    Event,
    ModuleFacts,
    OwnedTensor,
    PhaseEvents,
    Recording,
)
from torchstat_cli.records.sweep import SWEEP_NUMBERS, Status, SweepResult, SweepRow, SweepTask
from torchstat_cli.records.training import (
    PhaseTotal,
    TrainingCost,
    TrainingProfile,
    TrainingSetup,
)
from torchstat_cli.records.work import (
    COSTS,
    Work,
    costs_of,
    intensity,
    moved_bytes,
)

__all__ = [
    "CLASSES",
    "COSTS",
    "NOT_MODELLED",
    "RULES",
    "SCHEMA",
    "SUMMED",
    "SWEEP_NUMBERS",
    "Block",
    "Cost",
    "Event",
    "FitPoint",
    "FitResult",
    "Frame",
    "GenerationPart",
    "GenerationProfile",
    "InputRecord",
    "MemoryLog",
    "MemoryProfile",
    "Mixture",
    "ModuleFacts",
    "ModuleMemory",
    "ModuleRecord",
    "Moment",
    "OpRecord",
    "OperatorTotal",
    "OwnedTensor",
    "Phase",
    "PhaseEvents",
    "PhasePeak",
    "PhaseTotal",
    "Profile",
    "Provenance",
    "Recording",
    "Shape",
    "Share",
    "Status",
    "SweepResult",
    "SweepRow",
    "SweepTask",
    "TensorRecord",
    "Totals",
    "TrainingCost",
    "TrainingProfile",
    "TrainingSetup",
    "UnknownOperator",
    "Work",
    "costs_of",
    "intensity",
    "moved_bytes",
    "summed_training",
]
