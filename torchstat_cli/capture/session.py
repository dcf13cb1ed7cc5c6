"""One observed run: sites, rows, hooks and tape together, from the model as it is to a ``Recording``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from weakref import ref

import torch
from torch import nn

from torchstat_cli.capture.dispatch.higher_order import control_flow_by_parts, plain_flex_attention
from torchstat_cli.capture.dispatch.memo import Memo, shared_memo
from torchstat_cli.capture.emulation.autocast import autocast_on_meta
from torchstat_cli.capture.emulation.einsum_order import ChosenOrders
from torchstat_cli.capture.emulation.tensor_types import types_as_at_home
from torchstat_cli.capture.instrumentation.buffers import MetadataRow, Slot
from torchstat_cli.capture.instrumentation.hooks import CaptureHooks
from torchstat_cli.capture.instrumentation.leaves import Site, find_sites
from torchstat_cli.capture.instrumentation.outside import OTHER_THREAD, watched_ways_out
from torchstat_cli.capture.instrumentation.registries import ModuleRegistries
from torchstat_cli.capture.tape import Knows, OperatorTape
from torchstat_cli.capture.values.known import KnownValues
from torchstat_cli.capture.values.literals import literals_keep_values
from torchstat_cli.capture.values.store import ValueStore
from torchstat_cli.capture.values.twins import copy_parameters, copy_state, put_on_meta
from torchstat_cli.errors import InputError, UsageError
from torchstat_cli.records import Event, OpRecord, Recording
from torchstat_cli.torch_access.eager import room_for_hooks, without_compiler, without_fast_paths
from torchstat_cli.torch_access.internals import open_dispatch_modes, without_dispatch_modes
from torchstat_cli.torch_access.interrupts import held_back, let_through, to_the_end
from torchstat_cli.torch_access.kept import Kept
from torchstat_cli.torch_access.modes import enter, leave
from torchstat_cli.torch_access.modules import parameters_of, set_training
from torchstat_cli.torch_access.patching import replaced
from torchstat_cli.torch_access.process import one_guest_at_a_time, untouched_generators
from torchstat_cli.torch_access.reach import Reach, replace_tensors
from torchstat_cli.torch_access.restoring import untouched
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.torch_access.wrappers import home_of


class _OpenTapes(threading.local):
    """The tapes open in this thread, innermost last; a dummy run pauses those around it. Modes are per thread too."""

    def __init__(self) -> None:
        self.tapes: list[OperatorTape] = []


_open = _OpenTapes()


class Session:
    """Observe everything that runs while the session is open; ``recording`` is complete once it is closed.

    Sessions may be nested and repeated; each removes what it added, also when the observed code raised.

    Args:
        model: the module whose parts name the work.
        knows: whether a formula exists for an operator's name, overload and tags.
        memo: shared by default; a memo that runs every kernel where the run must not use one.
        values: small known values beside meta tensors, for runs on meta.
    """

    def __init__(
        self, model: nn.Module, knows: Knows, *, memo: Memo = shared_memo, values: KnownValues | None = None
    ) -> None:
        sites = find_sites(model)
        self._facts = ModuleRegistries(sites)
        self._values = values
        self.hooks = CaptureHooks(sites)
        self.tape = OperatorTape(self.hooks.running, knows, memo, values)
        self.hooks.mode = self.tape
        self.hooks.unseen = lambda index: self.tape.note(OTHER_THREAD, index)
        self._orders = ChosenOrders()
        self._stack = ExitStack()
        self._open = False
        self._thread = threading.current_thread()  # that opened it

    def __enter__(self) -> Session:
        if self._open:
            raise UsageError("this session is already open", "leave it first, or open another on the same model")
        try:
            with held_back(), ExitStack() as stack:
                stack.callback(setattr, self, "_open", False)
                self._open = True
                self._thread = threading.current_thread()
                stack.enter_context(room_for_hooks())
                stack.enter_context(without_compiler())
                stack.enter_context(control_flow_by_parts())
                stack.enter_context(without_fast_paths())
                stack.enter_context(self._orders.watched())
                stack.enter_context(watched_ways_out(self._note_outside))
                for name in ("manual_seed", "seed", "set_rng_state"):
                    stack.enter_context(replaced(torch, name, self._noting_a_seed))
                stack.callback(self.hooks.detach)
                self.hooks.attach()
                _open.tapes.append(self.tape)
                stack.callback(_open.tapes.remove, self.tape)
                enter(self.tape)
                stack.callback(leave, self.tape)
                self._stack = stack.pop_all()
        except BaseException:
            self.__exit__(None, None, None)  # an interrupt that was held back comes when all is in place
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open and self._thread is not threading.current_thread() and self._thread.is_alive():
            raise UsageError(
                "this capture was opened in another thread, which goes on being observed",
                "leave it in the thread that entered it; what it counted is kept",
            )
        to_the_end(self._stack.close)

    def recording(self) -> Recording:
        """What was seen.

        Raises:
            UsageError: the session was never open.
        """
        if not self.hooks.rows:
            raise UsageError("nothing was observed yet", "run the model inside `with ms.instrument(model) as capture:`")
        if self.hooks.unseen_calls and not self.hooks.started:
            raise UsageError(
                "the model ran in other threads than the one that observes it, where operators are not seen",
                "enter `with ms.instrument(model) as capture:` in the thread that runs the model",
            )
        sites = self.hooks.sites
        touched = self._facts.originals(self.tape.touched)
        facts = tuple([self._facts.of(index, row, touched) for index, row in enumerate(self.hooks.rows)])
        events = tuple([Event(op, sites[module].path, calls) for op, module, calls in self.tape.events])
        return Recording(
            modules=facts,
            order=_execution_order(sites, self.hooks.rows, self.tape.first_event),
            events=events,
            carried_values=self._values is not None and self._values.used,
            assumptions=self._assumptions(),
            notices=self._orders.notices(),
        )

    def _assumptions(self) -> tuple[str, ...]:
        made = (*self._facts.notices(), *(self._values.assumptions if self._values is not None else ()))
        unseen = self.hooks.unseen_calls
        if unseen:
            return (*made, f"{unseen} module calls in other threads are not counted, operators are not seen there")
        return made

    def _note_outside(self, record: OpRecord) -> None:
        """Work left torch; outside of all modules it is no work of the model."""
        if len(self.hooks.running) > 1 and not self.tape.paused:
            self.tape.note(record, self.hooks.running[-1])

    def _noting_a_seed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def seed(*args: Any, **kwargs: Any) -> Any:
            self.tape.drew = True
            return original(*args, **kwargs)

        return seed

    def may_have_drawn(self) -> bool:
        """Whether torch's generator was drawn from, as far as the run was observed."""
        return self.tape.drew or not self.hooks.rows

    @property
    def twins(self) -> dict[int, int]:
        """The id of every stand-in, by the id of the original."""
        return self._facts.twins

    def note_twins(self, twins: dict[int, int]) -> None:
        """The model's tensors were swapped: ``twins`` maps the ids of the originals to those of their stand-ins."""
        self._facts.twins = twins


def _execution_order(sites: tuple[Site, ...], rows: list[MetadataRow], first_event: dict[int, int]) -> tuple[str, ...]:
    """Modules by their first call; then those that only own work or parameters, as registered."""
    places = [int(row.values[Slot.ORDER]) for row in rows]  # 0 is never called
    called = sorted((place, index) for index, place in enumerate(places) if place)
    uncalled = [index for index, place in enumerate(places) if not place]
    # Work outside every module lands on the root, which then comes first although nobody called it.
    first = [index for index in uncalled if index in first_event]
    rest = [index for index in uncalled if index not in first_event]
    return tuple(sites[index].path for index in (*first, *(index for _, index in called), *rest))


@dataclass(frozen=True)
class PreparedRun:
    """A model whose tensors were swapped for stand-ins, inputs to go with them, and a session that is not open yet."""

    session: Session
    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@contextmanager
def prepared_run(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    knows: Knows,
    *,
    on_meta: bool,
    training: bool = False,
    assume: bool = False,
    memo: Memo = shared_memo,
    learns: bool = False,
    lent: list[ref[torch.Tensor]] | None = None,
) -> Iterator[PreparedRun]:
    """Everything in place for a run that leaves no trace.

    Args:
        model: any module; on meta its tensors are swapped for twins for the length of the run.
        args, kwargs: the inputs; on meta they are swapped for twins as well, small ones with their values known.
        knows: whether a formula exists for an operator.
        on_meta: run without memory; off, the model runs for real where its tensors are.
        training: train mode instead of eval.
        assume: on meta, answer questions about unknown values by a stated rule.
        memo: see :class:`Session`.
        learns: parameters are stand-ins too, so that gradients and updates happen to those.
        lent: on meta, gets a reference to every tensor that the run has, for who looks whether any of them stays.

    Raises:
        InputError: an input cannot be counted.
    """
    _refuse_strided_nested((args, kwargs))
    values = KnownValues(assume=assume) if on_meta else None
    session = Session(model, knows, memo=memo, values=values)
    paused = [tape for tape in _open.tapes if not tape.paused]
    with one_guest_at_a_time(), held_back(), ExitStack() as stack:
        for tape in paused:
            tape.paused = True
            stack.callback(setattr, tape, "paused", False)
        stack.enter_context(untouched_generators(session.may_have_drawn))
        if on_meta and open_dispatch_modes():
            stack.enter_context(without_dispatch_modes())  # of the caller's: the run is no work of theirs
        modules = [site.module for site in session.hooks.sites]
        inputs: list[Any] = [args, kwargs]
        reach = stack.enter_context(untouched(modules, [inputs]))
        stack.enter_context(plain_flex_attention())
        if values is not None:
            session.tape.lent = lent
            stack.enter_context(_on_meta(session, reach, values.store, home_of(model)))
        else:
            copy_state(reach)
            if not learns:
                session.tape.kept = kept = Kept(parameters_of(model))
                stack.callback(kept.put_back)
        if learns:
            session.note_twins(copy_parameters(reach, session.twins))
            replace_tensors(Reach((), [inputs]), _without_gradient)
        if any(module.training is not training for module in modules):
            set_training(model, training)
        with let_through():
            yield PreparedRun(session, model, *inputs)


def _refuse_strided_nested(inputs: Any) -> None:
    if any(tensor.is_nested and tensor.layout is torch.strided for tensor in tensors_in(inputs)):
        raise InputError(
            "an input is a nested tensor of the strided layout, which has no shape to count by",
            "make it with layout=torch.jagged, or pad it",
        )


@contextmanager
def _on_meta(session: Session, reach: Reach, store: ValueStore, home: torch.device) -> Iterator[None]:
    """All that the run can reach lies on meta, and meta answers as ``home`` does."""
    with autocast_on_meta(home), types_as_at_home(home):
        session.note_twins(put_on_meta(reach, store, session.tape.lent))
        try:
            with literals_keep_values(store):
                yield
        finally:
            store.clear()


def _without_gradient(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as a leaf of its own, with a gradient of its own.

    Integers, whose values may be known, stay; and parameters, which a module among the inputs has, are copies already.
    """
    if isinstance(tensor, nn.Parameter):
        return tensor
    return tensor.detach().requires_grad_(tensor.requires_grad) if tensor.is_floating_point() else tensor
