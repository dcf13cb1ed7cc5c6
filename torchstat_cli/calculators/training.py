"""How the cost of a training step divides into forward, backward and optimiser, per module and in total."""

from __future__ import annotations

from collections.abc import Mapping

from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.work import Sums, Tally, add_up
from torchstat_cli.records import PhaseTotal, Recording, TrainingCost, TrainingProfile, TrainingSetup, costs_of

_FIRST, _SECOND = 1, 2
_NO_WORK, _NOTHING = Tally(), TrainingCost()


class StepCosts:
    """What a training step costs, module by module and phase by phase.

    Raises:
        FormulaError: a formula raised.
    """

    def __init__(self, recording: Recording, setup: TrainingSetup, registry: Registry) -> None:
        self._phases = _by_phase(recording, registry)
        self._paths = {path for sums in self._phases.values() for path in sums.by_module}
        self._setup = setup

    def of(self, path: str) -> TrainingCost:
        """The cost of one module."""
        if path not in self._paths:
            return _NOTHING
        return _cost({phase: sums.by_module.get(path, _NO_WORK) for phase, sums in self._phases.items()})

    def profile(self) -> TrainingProfile:
        """Both steps, phase by phase."""
        works = {phase: sums.whole for phase, sums in self._phases.items()}
        phases = tuple(PhaseTotal(step, name, **costs_of(work)) for (step, name), work in works.items())
        return TrainingProfile(self._setup, phases, _cost(works))


def _by_phase(recording: Recording, registry: Registry) -> dict[tuple[int, str], Sums]:
    """Sums by step and phase; with gradient accumulation, a phase runs several times in a step."""
    keys = dict.fromkeys((part.step, part.phase) for part in recording.training)
    return {
        key: add_up((e for part in recording.training if (part.step, part.phase) == key for e in part.events), registry)
        for key in keys
    }


def _cost(works: Mapping[tuple[int, str], Tally]) -> TrainingCost:
    def of(name: str) -> Tally:
        return works.get((_SECOND, name), _NO_WORK)

    def whole_step(step: int) -> int:
        return sum(work.flops for (number, _), work in works.items() if number == step)

    return TrainingCost(
        forward_madds=of("forward").madds,
        forward_flops=of("forward").flops,
        backward_madds=of("backward").madds,
        backward_flops=of("backward").flops,
        optimizer_flops=of("optimizer").flops,
        step1_flops=whole_step(_FIRST),
        step2_flops=whole_step(_SECOND),
    )
