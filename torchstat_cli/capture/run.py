"""Run a model once, observed, and leave it as it was: a forward pass, or a training step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from weakref import ref

import torch
from torch import nn

from torchstat_cli.capture.autograd import Gradients, with_gradients_as_needed
from torchstat_cli.capture.dispatch.memo import Memo, shared_memo
from torchstat_cli.capture.emulation.attention_backend import attention_backend
from torchstat_cli.capture.emulation.recurrent import recurrent_layers_of_the_cpu
from torchstat_cli.capture.failures import run_error
from torchstat_cli.capture.fast_paths import fast_paths_followed
from torchstat_cli.capture.instrumentation.leaves import loose_values
from torchstat_cli.capture.kernel_steps import Kernels
from torchstat_cli.capture.memory.allocator import allocator_peak
from torchstat_cli.capture.memory.liveness import Liveness, watching_resizes
from torchstat_cli.capture.memory.transients import Transients
from torchstat_cli.capture.session import PreparedRun, Session, prepared_run
from torchstat_cli.capture.tape import Knows
from torchstat_cli.capture.training import TrainingRun, record_steps, take_steps
from torchstat_cli.capture.values.known import ValueUnknownError
from torchstat_cli.errors import UnsupportedTorchError
from torchstat_cli.records import Recording
from torchstat_cli.torch_access.kept import Kept
from torchstat_cli.torch_access.leftovers import Leftovers
from torchstat_cli.torch_access.modules import modules_of
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.torch_access.wrappers import home_of

_MOST_ITEMS = 10_000  # taken from a model that returns a generator


@dataclass(frozen=True)
class RunOptions:
    """How to run."""

    on_meta: bool  # without memory; off, the model runs for real where its tensors are
    train_mode: bool = False  # train mode instead of eval
    assume: bool = False  # on meta, answer questions about unknown values by a stated rule
    memo: Memo = field(default_factory=lambda: shared_memo)
    memory: bool = False  # log what lives when; a real run is then made twice, once for the allocator's own peak
    attention: str = "auto"  # backend of scaled dot-product attention
    training: TrainingRun | None = None  # two training steps instead of a forward pass
    gradients: Gradients = Gradients.INFERENCE  # of a forward pass: found out by `record_run`

    def place(self, model: nn.Module) -> str:
        """The type of device of a run of ``model``."""
        return "meta" if self.on_meta else home_of(model).type

    def is_as_it_runs(self, model: nn.Module) -> bool:
        """Whether the device itself has the kernels that are simulated, so that its allocator can be asked."""
        return self.attention == "auto" or self.place(model) not in ("meta", "cpu")

    def kernels(self, model: nn.Module) -> Kernels:
        """Whose kernels a run of ``model`` has, or stands for: a named attention backend is a GPU's."""
        if self.attention == "auto":
            return "cpu" if self.place(model) in ("meta", "cpu") else "gpu"
        return "gpu math" if self.attention == "math" else "gpu"


def record_run(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], knows: Knows, options: RunOptions
) -> Recording:
    """Run ``model`` observed, and leave it as it was.

    Args:
        model: any module; on meta its tensors are swapped for twins for the length of the run.
        args, kwargs: the inputs; on meta they are swapped for twins as well, small ones with their values known.
        knows: whether a formula exists for an operator.
        options: how to run.

    Raises:
        ForwardError: the model raised; names the module and the shapes it was given.
        TrainingError: nothing to train, a loss that is no number, a backward pass or an optimiser that raised.
        ValueUnknownError: the model needs values that meta tensors do not have.
    """
    if options.training is not None:
        return _record_as_told(model, args, kwargs, knows, options)
    return with_gradients_as_needed(
        lambda needed: _record_as_told(model, args, kwargs, knows, replace(options, gradients=needed))
    )


def _record_as_told(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], knows: Knows, options: RunOptions
) -> Recording:
    if not options.on_meta:
        return _record(model, args, kwargs, knows, options, None)
    leftovers = Leftovers(modules_of(model))
    try:
        recording = _record(model, args, kwargs, knows, options, leftovers.lent)
    except BaseException:
        leftovers.clear_after_failure()
        raise
    return replace(recording, notices=(*recording.notices, *leftovers.clear()))


def _record(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    knows: Knows,
    options: RunOptions,
    lent: list[ref[torch.Tensor]] | None,
) -> Recording:
    with ExitStack() as stack:
        run = stack.enter_context(prepared(model, args, kwargs, knows, options, lent))
        choice = stack.enter_context(
            attention_backend(options.attention, options.place(model), trains=options.training is not None)
        )
        liveness = watch_memory(run.session, run.args, run.kwargs) if options.memory else None
        if liveness is not None:
            stack.enter_context(watching_resizes(liveness))
            run.session.tape.transients = Transients(options.memo, options.kernels(model))
            stack.enter_context(fast_paths_followed(run.session, liveness))
        if options.training is not None:
            if options.on_meta and options.kernels(model) == "cpu":
                stack.enter_context(recurrent_layers_of_the_cpu())
            recording = record_steps(run, options.training, liveness)
        else:
            if liveness is not None:
                stack.enter_context(liveness.phase(1, "forward"))
            recording = _record_forward(run, options.gradients)
        recording = replace(recording, attention=choice.words)
        if liveness is None:
            return recording
        log = liveness.log([site.path for site in run.session.hooks.sites], attention=choice.words)
        held = sum(block.nbytes for block in log.blocks if block.start == 0 and not block.op)
    if not options.on_meta and options.is_as_it_runs(model):
        kept = run.session.tape.kept
        log = replace(log, measured=_measured(model, args, kwargs, knows, options, held, kept))
    return replace(recording, memory=log)


def prepared(
    model: nn.Module,
    args: Any,
    kwargs: Any,
    knows: Knows,
    options: RunOptions,
    lent: list[ref[torch.Tensor]] | None = None,
) -> AbstractContextManager[PreparedRun]:
    """The run that ``options`` describe, in place but not begun; see ``session.prepared_run``."""
    return prepared_run(
        model,
        args,
        kwargs,
        knows,
        on_meta=options.on_meta,
        training=options.train_mode or options.training is not None,
        assume=options.assume,
        memo=options.memo,
        learns=options.training is not None or options.gradients is not Gradients.INFERENCE,
        lent=lent,
    )


def _record_forward(run: PreparedRun, gradients: Gradients) -> Recording:
    try:
        with gradients.mode(), run.session:
            output = run.model(*run.args, **run.kwargs)
            if isinstance(output, Iterator):
                deque(islice(output, _MOST_ITEMS), maxlen=0)  # a generator works only when it is asked
    except (ValueUnknownError, UnsupportedTorchError):
        raise
    except Exception as error:
        raise run_error(run.session.hooks, error) from error
    return run.session.recording()


def _measured(
    model: nn.Module, args: Any, kwargs: Any, knows: Knows, options: RunOptions, held: int, kept: Kept | None
) -> int | None:
    """The allocator's own peak of the same run, not observed; ``kept`` saw to which parameters the run writes."""
    with ExitStack() as stack:
        run = stack.enter_context(prepared(model, args, kwargs, knows, options))
        stack.enter_context(attention_backend(options.attention, options.place(model), trains=False))
        if kept is not None and run.session.tape.kept is not None:
            run.session.tape.kept.before_the_same(kept)

        def repeat() -> None:
            if options.training is not None:
                take_steps(run, options.training)
                return
            with options.gradients.mode():
                run.model(*run.args, **run.kwargs)

        return allocator_peak(repeat, home_of(run.model), held)


def watch_memory(session: Session, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Liveness:
    """The log of ``session``, which holds the parameters, buffers and inputs already.

    To be called once the model's tensors are those of the run (twins, copies), before anything runs.
    """
    liveness = Liveness()
    sites = session.hooks.sites
    for kind, registry in (("parameter", "_parameters"), ("buffer", "_buffers")):
        for index, site in enumerate(sites):
            if registered := getattr(site.module, registry):
                liveness.hold([tensor for tensor in registered.values() if tensor is not None], kind, index)
    for index, site in enumerate(sites):
        # Tensors that a module holds outside its registries: anchors, caches.
        if loose := loose_values(site.module):
            liveness.hold(tensors_in([value for _, value in loose]), "buffer", index)
    liveness.hold(tensors_in((args, kwargs)), "input")
    session.tape.liveness = liveness
    session.hooks.listeners.append(liveness)
    return liveness
