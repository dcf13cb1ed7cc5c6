"""Run two training steps, observed phase by phase: forward and loss, backward, optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from torchstat_cli.capture.attribution import BackwardAttribution, StepAttribution, parameter_owners
from torchstat_cli.capture.failures import run_error
from torchstat_cli.capture.memory.liveness import Liveness
from torchstat_cli.capture.session import PreparedRun
from torchstat_cli.capture.values.known import ValueUnknownError
from torchstat_cli.errors import ModelstatError, TrainingError, UnsupportedTorchError
from torchstat_cli.foreign_text import class_of, first_line_of
from torchstat_cli.records import Event, PhaseEvents, Recording, TrainingSetup
from torchstat_cli.torch_access.modules import parameters_of
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.units import format_shape

STEPS = (1, 2)
"""The second step differs from the first: gradients have been cleared, the optimiser has its states."""

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
Loss = Callable[[Any], torch.Tensor]


@dataclass(frozen=True)
class TrainingRun:
    """How to train."""

    setup: TrainingSetup  # the same in words
    make_optimizer: MakeOptimizer
    loss: Loss
    autocast: torch.dtype | None = None


def record_steps(run: PreparedRun, training: TrainingRun, liveness: Liveness | None = None) -> Recording:
    """Train for two steps, observed; modules and calls are those of one forward pass, events those of the second step.

    Raises:
        ForwardError: the model raised.
        TrainingError: nothing to train, a loss that is no number, a backward pass or an optimiser that raised.
        ValueUnknownError: the model needs values that meta tensors do not have.
    """
    return _Steps(run, training, liveness).record()


def take_steps(run: PreparedRun, training: TrainingRun) -> None:
    """The same two steps, not observed."""
    parameters = _trainable(run.model)
    optimizer = _made(training.make_optimizer, parameters)
    for _ in STEPS:
        optimizer.zero_grad(set_to_none=True)
        for _ in range(training.setup.accumulate):
            with _autocast(training, parameters):
                loss = training.loss(run.model(*run.args, **run.kwargs))
            torch.autograd.backward(loss)
            del loss
        optimizer.step()


class _Steps:
    """The loop itself."""

    def __init__(self, run: PreparedRun, training: TrainingRun, liveness: Liveness | None) -> None:
        self._run, self._training, self._liveness = run, training, liveness
        self._tape = run.session.tape
        self._owners = parameter_owners(run.session.hooks.sites)
        self._backward = BackwardAttribution(run.session.hooks.running, self._owners)
        self._parameters = _trainable(run.model)
        self._phases: list[PhaseEvents] = []
        self._seen: Recording | None = None  # modules and order as of the first forward: recomputation calls again

    def record(self) -> Recording:
        """Both steps."""
        handles = [parameter.register_post_accumulate_grad_hook(self._note_gradient) for parameter in self._parameters]
        self._run.session.hooks.listeners.append(self._backward)
        try:
            optimizer = _made(self._training.make_optimizer, self._parameters)
            with self._run.session:
                for step in STEPS:
                    self._step(step, optimizer)
        finally:
            for handle in handles:
                handle.remove()
        assert self._seen is not None  # the first forward has run
        second = tuple(event for phase in self._phases if phase.step == STEPS[-1] for event in phase.events)
        last = self._run.session.recording()
        return replace(
            self._seen,
            events=second,
            training=tuple(self._phases),
            setup=self._training.setup,
            carried_values=last.carried_values,
            assumptions=last.assumptions,
        )

    def _step(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad(set_to_none=True)
        for _ in range(self._training.setup.accumulate):
            self._pass(step)
        with self._phase(step, "optimizer"):
            self._tape.locate = StepAttribution(self._owners, optimizer).locate
            self._update(optimizer)

    def _pass(self, step: int) -> None:
        with self._phase(step, "forward"):
            loss = self._forward()
        if self._seen is None:
            self._seen = self._run.session.recording()
        with self._phase(step, "backward"):
            self._tape.locate = self._backward.locate
            self._differentiate(loss)

    @contextmanager
    def _phase(self, step: int, name: str) -> Iterator[None]:
        self._tape.begin_phase()
        self._tape.locate = None
        with self._liveness.phase(step, name) if self._liveness is not None else nullcontext():
            yield
        paths = [site.path for site in self._run.session.hooks.sites]
        events = tuple(Event(op, paths[module], calls) for op, module, calls in self._tape.events)
        self._phases.append(PhaseEvents(step, name, events))

    def _forward(self) -> torch.Tensor:
        run = self._run
        with _autocast(self._training, self._parameters):
            try:
                output = run.model(*run.args, **run.kwargs)
            except ModelstatError:
                raise
            except Exception as error:
                raise run_error(run.session.hooks, error) from error
            return _checked_loss(self._training.loss, output)

    def _differentiate(self, loss: torch.Tensor) -> None:
        try:
            torch.autograd.backward(loss)
        except (ValueUnknownError, UnsupportedTorchError):
            raise
        except Exception as error:
            raise _training_error("the backward pass failed", error, self._failing_path()) from error

    def _failing_path(self) -> str:
        try:
            return self._run.session.hooks.sites[self._backward.last].path
        except IndexError:
            return ""

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        try:
            optimizer.step()
        except ModelstatError:
            raise
        except Exception as error:
            raise _training_error(f"the step of {type(optimizer).__name__} failed", error, "") from error
        if self._liveness is not None:
            self._liveness.mark(tensors_in([dict(state) for state in optimizer.state.values()]), "optimizer")

    def _note_gradient(self, parameter: torch.Tensor) -> None:
        if self._liveness is not None and parameter.grad is not None:
            self._liveness.mark([parameter.grad], "gradient")


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that require a gradient.

    Raises:
        TrainingError: there are none.
    """
    parameters = [parameter for parameter in parameters_of(model) if parameter.requires_grad]
    if not parameters:
        raise TrainingError(
            "there is nothing to train: no parameter of the model requires a gradient",
            "leave --train out, or unfreeze a parameter (requires_grad_())",
        )
    return parameters


def _autocast(training: TrainingRun, parameters: list[nn.Parameter]) -> AbstractContextManager[Any]:
    if training.autocast is None:
        return nullcontext()
    return torch.autocast(parameters[0].device.type, training.autocast)


def _made(make: MakeOptimizer, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    try:
        return make(parameters)
    except ModelstatError:
        raise
    except Exception as error:
        raise _training_error("the optimiser could not be made", error, "") from error


def _checked_loss(loss: Loss, output: Any) -> torch.Tensor:
    """One number that can be differentiated.

    Raises:
        TrainingError: it is something else, or the function raised.
    """
    try:
        value = loss(output)
    except ModelstatError:
        raise
    except Exception as error:
        raise _training_error("the loss failed", error, "") from error
    if not isinstance(value, torch.Tensor):
        raise TrainingError(f"the loss is of type {type(value).__name__}, not a tensor", _LOSS_HINT)
    if value.numel() != 1:
        shape = format_shape(tuple(value.shape))
        raise TrainingError(f"the loss has the shape {shape}, it must be one number", _LOSS_HINT)
    if not value.requires_grad:
        raise TrainingError("the loss does not depend on a parameter that requires a gradient", _LOSS_HINT)
    return value


_LOSS_HINT = "name a function that turns the model's output into one number: --loss module:function"


def sum_of_outputs(output: Any) -> torch.Tensor:
    """The default loss: the model's own ``loss`` where its output has one, else the sum of all floating outputs.

    Raises:
        TrainingError: no floating output depends on a parameter.
    """
    own = output.get("loss") if isinstance(output, dict) else getattr(output, "loss", None)
    if isinstance(own, torch.Tensor) and own.numel() == 1 and own.requires_grad:
        return own
    terms = [tensor.sum() for tensor in _learning(tensors_in(output))]
    if not terms:
        raise TrainingError("no floating output depends on a parameter that requires a gradient", _LOSS_HINT)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _learning(tensors: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    return (tensor for tensor in tensors if tensor.is_floating_point() and tensor.requires_grad)


def _training_error(what: str, error: Exception, path: str) -> TrainingError:
    where = f" in {path!r}" if path else ""
    return TrainingError(
        f"{what}{where}: {class_of(error)}: {first_line_of(error)}", "see the whole traceback with --debug"
    )
