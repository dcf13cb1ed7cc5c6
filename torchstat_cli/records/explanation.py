"""How a number comes about: the operator calls behind it, each with its formula and the numbers put in."""

from __future__ import annotations

from typing import NamedTuple


class Derivation(NamedTuple):
    """A number of one operator call, and how it comes about."""

    value: int
    terms: str | None  # "3 (rows) x 4 (columns)"; None where there is nothing to show beyond the value


class CallCost(NamedTuple):
    """Equal operator calls, explained."""

    operator: str  # "aten.conv2d"
    phase: str | None  # "forward", "backward" or "optimizer" of a training step
    paths: tuple[str, ...]  # modules that ran it, in order of execution
    calls: int  # together
    given: tuple[str, ...]  # arguments: "input 1x3x8x8 float32", "stride 2x2"
    made: tuple[str, ...]  # results
    words: str | None  # the formula; None where the operator has none
    convention: str  # what one unit of the result means
    source: str  # where the formula comes from
    numbers: dict[str, Derivation]  # of one call, by column name; MAdds and FLOPs are missing where they are unknown

    def total(self, column: str) -> int:
        """A number of all calls together; unknown counts as 0."""
        return self.calls * self.numbers[column].value if column in self.numbers else 0


class HeldTensor(NamedTuple):
    """A parameter of the module that is explained."""

    name: str
    numel: int
    counted_in: str | None  # the module that counts it; None: this one does


class Explanation(NamedTuple):
    """What was asked about, and every call behind its numbers."""

    what: str  # a module's path, or an operator
    kind: str  # "module" or "operator"
    type: str  # class of the module; of an operator its name
    calls_of_module: int  # of its forward
    input_shape: tuple[tuple[int, ...], ...]  # of its first call
    output_shape: tuple[tuple[int, ...], ...]
    parameters: tuple[HeldTensor, ...]  # registered on the module itself
    own: tuple[CallCost, ...]  # run by the module itself, or every call of the operator
    below: tuple[CallCost, ...]  # run by the modules inside it

    @property
    def everything(self) -> tuple[CallCost, ...]:
        """All calls behind the sum."""
        return (*self.own, *self.below)
