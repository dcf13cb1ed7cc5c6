"""What fits a budget."""

from __future__ import annotations

from dataclasses import dataclass

from torchstat_cli.records.memory import CLASSES


@dataclass(frozen=True, slots=True)
class FitPoint:
    """The simulated peak at one size."""

    size: int  # of the axes that vary
    peak: int  # bytes
    by_class: tuple[int, ...]  # bytes at the peak, in the order of CLASSES
    path: str  # module at the peak
    phase: str  # phase of the peak

    @property
    def dominant(self) -> str:
        """The class that holds most at the peak."""
        return CLASSES[max(range(len(CLASSES)), key=self.by_class.__getitem__)]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What fits a budget."""

    model: str
    varied: tuple[str, ...]  # axes that vary: "axis 0 of input_ids"
    budget: int  # bytes
    device: str | None  # known device that the budget is of
    source: str | None  # where its size is from
    points: tuple[FitPoint, ...]  # in ascending order of size
    best: FitPoint | None  # the largest that fits; None when none does
    limit: int  # no larger size was tried
    obstacle: str | None = None  # why the next larger size does not run, where that ends the search
