"""Small known values carried beside meta tensors.

Models ask tensors for values: is the mask all ones, how long is the sequence. A meta tensor has none. But where every
input of an operator is known (a constant, an index table, the integer inputs of the dummy run), the operator can be run
for real on the side, and the answer is exact.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from torchstat_cli.capture.dispatch.calls import operator_name
from torchstat_cli.capture.dispatch.keys import Call, Execute, Outcome
from torchstat_cli.capture.values.assumptions import NUMBER_WORDS, assume
from torchstat_cli.capture.values.real_tensors import RealTensors
from torchstat_cli.capture.values.store import LIMIT, ValueStore
from torchstat_cli.errors import ModelError
from torchstat_cli.foreign_text import text_of
from torchstat_cli.torch_access.trees import map_tensors, tensors_in
from torchstat_cli.units import format_shape

_MOST_ANSWERS = 10_000  # of one assumption in one run


class ValueUnknownError(ModelError):
    """The model asked for a value that a meta tensor does not have; the run needs real tensors."""


class KnownValues:
    """What a run knows of the values of its meta tensors, and which operators it answers from that.

    Args:
        assume: answer questions about unknown values by a stated rule (``assumptions.py``) instead of raising.
    """

    def __init__(self, *, assume: bool = False) -> None:
        self.store = ValueStore()
        self.used = False  # a question was answered
        self.assumptions: Counter[str] = Counter()  # what was assumed, and how often
        self._real = RealTensors(self.store)
        self._assume = assume

    def run(self, call: Call, execute: Execute) -> Outcome:
        """Run a call on meta tensors, or answer it from known values; and follow what it does to those.

        Args:
            call: as the model made it; real tensors that meet meta tensors are moved to meta first.
            execute: runs a call that needs no values.

        Raises:
            ValueUnknownError: the call needs a value that is not known.
        """
        traits = call.traits
        tracked = (
            self._assume
            or traits.data_dependent
            or traits.on_cpu is not None
            or self.store.bears_on(call.tensors, traits.mutable)
        )
        if tracked:
            if self._real.must_move(call):
                if self._real.take_known_values(call):
                    return _described(call, self._run_for_real(call))
                call = self._real.moved(call)
            call = self._with_plan(call)
            if _needs_values(call):
                return self._answered(call)
        try:
            record, result = execute(call)
        except (RuntimeError, NotImplementedError) as error:
            if not self._may_rescue(call, error):
                raise
            return self._answered(call)
        if tracked:
            self._follow(call, result)
        return record, result

    def goes_on(self, condition: Any, rounds: int) -> bool:
        """Whether a loop goes on after ``rounds``; where values are assumed, one of unknown condition runs once."""
        if self._assume and self._is_uncertain(condition):
            self._note("a loop whose condition is unknown is taken to run once")
            return rounds == 0
        return bool(condition)

    def _is_uncertain(self, value: Any) -> bool:
        on_meta = isinstance(value, torch.Tensor) and value.is_meta
        return on_meta and (not self.store.knows(value) or self.store.is_guess(value))

    def _with_plan(self, call: Call) -> Call:
        """The call with the plan of a packed sequence as a real tensor, as torch wants it on every device."""
        place = call.traits.on_cpu
        if place is None or place >= len(call.args) or not call.args[place].is_meta:
            return call
        if not self.store.knows(call.args[place]):
            name = operator_name(call.func)
            raise ValueUnknownError(f"{name} needs the lengths of sequences, and they are not known")
        self.used, plan = True, self.store.value(call.args[place])
        return call.with_arguments((*call.args[:place], plan, *call.args[place + 1 :]), call.kwargs)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _may_rescue(self, call: Call, error: Exception) -> bool:
        """Whether values would help where a kernel failed on meta tensors with ``error``."""
        if any(sign in text_of(error).lower() for sign in ("meta tensor", "data-independent")):
            return True
        return isinstance(error, NotImplementedError) and (self._assume or self.store.knows_all(call.tensors))

    def _answered(self, call: Call) -> Outcome:
        """The outcome of a call that needs values.

        Raises:
            ValueUnknownError: a value is not known.
        """
        if self.store.knows_all(call.tensors):
            return _described(call, self._known_answer(call))
        assumption = assume(call.func, call.args, call.kwargs) if self._assume else None
        if assumption is None:
            shapes = ", ".join(format_shape(tensor.shape) for tensor in call.tensors)
            raise ValueUnknownError(
                f"{operator_name(call.func)} needs the values of a tensor of shape {shapes}, and meta tensors have none"
            )
        self._note(assumption.words)
        return _described(call, assumption.result)

    def _known_answer(self, call: Call) -> Any:
        if any(map(self.store.is_guess, call.tensors)):
            self._note(NUMBER_WORDS)
        else:
            self.used = True
        result = self._run_for_real(call)
        return result if _leaves_meta(call) else map_tensors(result, self.store.twin)

    def _note(self, words: str) -> None:
        """Count an assumption.

        Raises:
            ValueUnknownError: it was made so often that a loop must be asking which no assumed answer ends.
        """
        self.assumptions[words] += 1
        if self.assumptions[words] > _MOST_ANSWERS:
            raise ValueUnknownError(f"a loop does not end when {words}")

    def _run_for_real(self, call: Call) -> Any:
        args, kwargs = map_tensors((call.args, call.kwargs), lambda t: self.store.value(t) if t.is_meta else t)
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("cpu")
        return call.func(*(_off_meta(value) for value in args), **kwargs)

    # --- what becomes of the values ----------------------------------------------------------------------------------

    def _follow(self, call: Call, result: Any) -> None:
        """Keep the values up to date after a call on meta: known in, known out; unknown written in, forgotten."""
        if call.tensors and len(self.store) == 0 and not self._assume:
            return
        if call.traits.repeatable and self.store.knows_all(call.tensors):
            outputs = list(tensors_in(result))
            if outputs and all(tensor.is_meta and tensor.numel() <= LIMIT for tensor in outputs):
                self._compute(call, outputs)
                return
        if call.traits.mutable:
            for tensor in call.written():
                self.store.forget(tensor)
        if self._assume:
            self._guess_numbers(result)

    def _compute(self, call: Call, outputs: list[torch.Tensor]) -> None:
        """Run a call of known values for real, to know those of its ``outputs``."""
        values = tensors_in(self._run_for_real(call))
        guessed = any(map(self.store.is_guess, call.tensors))
        for tensor, value in zip(outputs, values, strict=True):
            known = value.zero_() if call.traits.uninitialised else value
            self.store.remember(tensor, known, guessed=guessed)

    def _guess_numbers(self, result: Any) -> None:
        """Unknown numbers are 1 from here on, so that what is computed from them and asked later fits together."""
        for tensor in tensors_in(result):
            if tensor.is_meta and tensor.dim() == 0 and tensor.dtype is not torch.bool and not self.store.knows(tensor):
                self.store.remember(tensor, torch.ones((), dtype=tensor.dtype), guessed=True)


def _described(call: Call, result: Any) -> Outcome:
    return call.traits.view or call.describe(result), result


def _needs_values(call: Call) -> bool:
    """Whether the call needs values that its meta tensors do not have."""
    if not call.traits.data_dependent or not any(tensor.is_meta for tensor in call.tensors):
        return False
    if call.func._opname == "index":  # with integer indices the shape of the result is known
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors_in(call.args[1]))
    if call.func._opname == "one_hot":  # with a number of classes so is this one's
        return bool((call.args[1] if len(call.args) > 1 else -1) < 0)
    return True


def _leaves_meta(call: Call) -> bool:
    """Whether the call asks for its result on a real device, as ``.cpu()`` does."""
    named = [value for value in (*call.args, *call.kwargs.values()) if isinstance(value, torch.device)]
    return bool(named) and named[-1].type != "meta"


def _off_meta(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, torch.device) else value
