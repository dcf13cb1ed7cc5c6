"""One registry of operator formulas: what each operator costs, which are free, and which nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from torchstat_cli.calculators.counting import per_element
from torchstat_cli.errors import FormulaError
from torchstat_cli.foreign_text import named, shown
from torchstat_cli.records import Cost, OpRecord

Formula = Callable[[OpRecord], Cost | None]
"""Pure: a record in, its cost out; ``None`` when this one call hides what its cost depends on."""

F = TypeVar("F", bound=Formula)

CONVENTION = "2 per MAdd, 1 per elementwise operation"
XLA = "XLA HLO cost analysis"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the registry holds of one operator."""

    operator: str  # "aten.conv2d", or "aten.conv2d.padding" for one overload
    words: str  # the formula in one line
    convention: str  # what one unit of the result means; for free operators "free by definition"
    source: str  # where the formula comes from
    formula: Formula | None  # None: free by definition


def pointwise_cost(op: OpRecord) -> Cost:
    """1 per output element: torch tags the operator as pointwise and no formula claims it."""
    return per_element(op, 1) if op.outputs else Cost()


_VIEW = Entry("(tag view)", "a view moves and computes nothing", "free by definition", "torch's view tag", None)
_POINTWISE = Entry("(tag pointwise)", pointwise_cost.__doc__ or "", CONVENTION, XLA, pointwise_cost)


_EDITIONS = count(1)


class Registry:
    """Formulas by operator name. A layer made by :meth:`child` adds to its parent and never changes it."""

    def __init__(self, parent: Registry | None = None) -> None:
        self._parent = parent
        self._entries: dict[str, Entry] = {}
        self._edition = next(_EDITIONS)
        self._answers: dict[tuple[str, str, frozenset[str]], Entry | None] = {}  # of ``entry``, as of one edition
        self._answered = self.edition

    @property
    def edition(self) -> tuple[int, ...]:
        """Names what the registry holds: another registry, or the same after a further claim, has another edition."""
        below = self._parent.edition if self._parent is not None else ()
        return (self._edition, *below)

    def child(self) -> Registry:
        """An empty layer over this registry, for a user's own operators."""
        return Registry(self)

    def formula(
        self, *names: str, words: str = "", convention: str = CONVENTION, source: str = XLA
    ) -> Callable[[F], F]:
        """Decorator: claim ``names`` ("aten.add", "aten.add.Tensor" or "mylib::op") for a formula.

        ``words`` defaults to the first line of the formula's docstring.

        Raises:
            FormulaError: a name is no operator name, or is already claimed, in this layer or below.
        """

        def claim(formula: F) -> F:
            text = words or (formula.__doc__ or "no description").strip().splitlines()[0].removesuffix(".")
            self._claim(keys, text, convention, source, formula)
            return formula

        keys = _checked(names)
        return claim

    def free(self, *names: str, reason: str) -> None:
        """Claim ``names`` as free by definition.

        Raises:
            FormulaError: a name is no operator name, or is already claimed, in this layer or below.
        """
        self._claim(_checked(names), reason, "free by definition", "definition", None)

    def knows(self, operator: OpRecord | str, overload: str = "default", tags: Collection[str] = ()) -> bool:
        """Whether the operator, given as a record or as name, overload and tags, has a formula or is free."""
        if isinstance(operator, OpRecord):
            return self.entry(operator.name, operator.overload, operator.tags) is not None
        return self.entry(operator, overload, tags) is not None

    def entry(self, name: str, overload: str = "default", tags: Collection[str] = ()) -> Entry | None:
        """The entry that answers for an operator, ``None`` when nobody knows it."""
        edition = self.edition
        if edition != self._answered:
            self._answers.clear()
            self._answered = edition
        asked = name, overload, frozenset(tags)
        if asked not in self._answers:
            self._answers[asked] = self._look_up(name, overload, tags)
        return self._answers[asked]

    def _look_up(self, name: str, overload: str, tags: Collection[str]) -> Entry | None:
        for key in _keys(_dotted(name), overload):
            found = self._find(key)
            if found is not None:
                return found
        if "view" in tags:
            return _VIEW
        return _POINTWISE if "pointwise" in tags else None

    def cost(self, op: OpRecord) -> Cost | None:
        """The cost of one call: ``None`` is unknown, ``Cost()`` is free.

        Raises:
            FormulaError: the formula raised, or returned something else than a cost in whole numbers.
        """
        entry = self.entry(op.name, op.overload, op.tags)
        if entry is None:
            return None
        if entry.formula is None:
            return Cost()
        cost = _run(entry.formula, op)
        # The one place where integer and boolean work stops being FLOPs; its MAdds remain, so int8 models show MACs.
        if cost is None or _is_floating(op):
            return cost
        return Cost(madds=cost.madds)

    def entries(self) -> tuple[Entry, ...]:
        """Every entry of this layer and those below, by operator name."""
        return tuple(sorted(self._all(), key=lambda entry: entry.operator))

    def _all(self) -> Iterator[Entry]:
        if self._parent is not None:
            yield from self._parent._all()
        yield from self._entries.values()

    def _find(self, key: str) -> Entry | None:
        found = self._entries.get(key)
        return found if found is not None or self._parent is None else self._parent._find(key)

    def _claim(self, keys: tuple[str, ...], words: str, convention: str, source: str, formula: Formula | None) -> None:
        """Enter all ``keys`` or, where one of them is taken, none."""
        for key in keys:
            taken = self._find(key)
            if taken is not None or keys.count(key) > 1:
                raise FormulaError(
                    f"two claims on the operator {key}: it already has '{taken.words if taken else words}'",
                    "claim one overload, as in 'mylib::op.overload', or drop one of the two",
                )
        self._entries |= {key: Entry(key, words, convention, source, formula) for key in keys}
        self._edition = next(_EDITIONS)


def _checked(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names as keys.

    Raises:
        FormulaError: there is none, or one of them names no operator.
    """
    for name in names or ("",):
        parts = _dotted(name).split(".") if isinstance(name, str) else []
        if len(parts) not in (2, 3) or not all(part.isidentifier() for part in parts):
            raise FormulaError(f"{name!r} is no operator name", "write it as 'namespace::operator', as in 'mylib::op'")
    return tuple(map(_dotted, names))


def _dotted(name: str) -> str:
    return name.replace("::", ".")


def _keys(name: str, overload: str) -> Iterator[str]:
    """Where to look, most exact first: the overload, its packet, then the same for the out-of-place operator."""
    plain = "default" if overload == "out" else overload.removesuffix("_out")
    for packet in (name, name[:-1]) if name.endswith("_") else (name,):
        yield f"{packet}.{overload}"
        yield f"{packet}.{plain}"
        yield packet


def _is_floating(op: OpRecord) -> bool:
    return any(tensor.is_floating for tensor in (*op.inputs, *op.outputs))


def _run(formula: Formula, op: OpRecord) -> Cost | None:
    """The formula's answer, checked, with every failure named after the operator."""
    shapes = ", ".join(f"{name}={list(value.shape)}" for name, value in op.arguments.items() if hasattr(value, "shape"))
    called = f"the formula for {op.name}.{op.overload}"
    hint = f"the call had {shapes or 'no tensors'}; please report this, or mend the formula if it is yours"
    try:
        cost = formula(op)
    except Exception as error:
        raise FormulaError(f"{called} failed: {named(error)}", hint) from error
    if cost is None or (isinstance(cost, Cost) and _is_count(cost.madds) and _is_count(cost.flops)):
        return cost
    raise FormulaError(f"{called} returned {shown(cost)}, not a Cost of whole numbers that are not negative", hint)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


BUILTIN = Registry()
"""The one registry that the formula files of this project fill as they are imported."""
