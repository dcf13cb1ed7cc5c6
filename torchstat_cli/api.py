"""The public verbs, each a short straight line through the rooms; nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from torchstat_cli.calculators import Formula, user_registry
from torchstat_cli.calculators.assemble import assemble
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.session import Session
from torchstat_cli.capture.training import Loss, MakeOptimizer
from torchstat_cli.errors import InputError, SpecError, UsageError
from torchstat_cli.foreign_text import shown
from torchstat_cli.loading import find_model, place
from torchstat_cli.loading.given import Shapes, as_shape, given_inputs
from torchstat_cli.loading.providers import names_of
from torchstat_cli.python_remedies import told_in_python
from torchstat_cli.report.profile.saved import read_report
from torchstat_cli.report.report import Report
from torchstat_cli.report.sweep import Sweep
from torchstat_cli.tasks.profile import measure
from torchstat_cli.tasks.provenance import live_provenance
from torchstat_cli.tasks.registry import operator_registry
from torchstat_cli.tasks.settings import Mode, Settings, floating_dtype, training_run
from torchstat_cli.tasks.sweep.measuring import SweepSettings
from torchstat_cli.tasks.sweep.models import expand
from torchstat_cli.tasks.sweep.run import SweepRequest, run_sweep
from torchstat_cli.tasks.sweep.variants import parse_variants, tasks_of
from torchstat_cli.torch_access.process import generators_left_alone
from torchstat_cli.torch_access.wrappers import peeled, refuse_sharded

if TYPE_CHECKING:
    from torchstat_cli.report.explanation import Explained

__all__ = ["Capture", "explain", "formula", "instrument", "load_model", "load_report", "profile", "stat", "sweep"]


@told_in_python()
def profile(
    model: nn.Module | str,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    input_shape: Shapes | None = None,
    device: str = "auto",
    mode: Mode = "eval",
    memory: bool = False,
    train: bool = False,
    optimizer: str | MakeOptimizer | None = None,
    loss: str | Loss | None = None,
    autocast: str | None = None,
    accumulate: int = 1,
    attention: str = "auto",
    strict: bool = False,
    memo: bool = True,
    depth: int | None = None,
    restore_random: bool = True,
    dtype: str | torch.dtype | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Report:
    """What a model costs: parameters, FLOPs, MAdds, traffic and memory, per module and per operator.

    Args:
        model: a live module, which is left as it is and where it is, or a spec ("resnet18", "package.module:factory").
        args: the inputs of one forward call; only shapes, dtypes and small integers of them matter.
        kwargs: its keyword inputs.
        input_shape: the shape of a dummy input, batch included, or a list of shapes; instead of ``args``.
        device: "auto" (without memory if possible), "meta" (never with), or a device to run on for real.
        mode: "eval" or "train": the training flags of the run.
        memory: simulate which tensors live when, and tell the peak.
        train: profile a training step (forward, backward, optimiser) instead of a forward pass; in train mode.
        optimizer: of that step: "sgd", "adamw:foreach=True", or a function of the parameters; None is plain SGD.
        loss: a function, or its spec, from the model's output to one number; None sums the floating outputs.
        autocast: the dtype of mixed precision in that step.
        accumulate: forward and backward passes per step.
        attention: the backend to simulate: "auto" (as on the CPU), "math", "flash" or "efficient".
        strict: make unknown operators and assumptions errors.
        memo: answer repeated operators from memory; off, torch computes every shape.
        depth: fold modules deeper than this into their ancestor.
        restore_random: leave the random generators as they were, and build what a spec names from a fixed seed; off,
            the run draws from them as your own call would, and other threads never draw the same number twice.
        dtype: of the floating parameters and generated inputs of a model that a spec names: "bfloat16", "bf16",
            ``torch.bfloat16``; None leaves them.
        arguments: of the factory that a spec names.

    Returns:
        A frozen report; its rows sum to its totals.

    Raises:
        ModelstatError: the spec, the inputs or the model cannot be used; the message names cause and remedy.
    """
    training = training_run(optimizer, loss, autocast, accumulate) if train else None
    if not isinstance(model, str):
        _refuse_for_live(dtype=dtype, arguments=arguments)
    settings = Settings(
        device=device,
        dtype=None if dtype is None else floating_dtype(str(dtype)),
        mode="train" if train else mode,
        strict=strict,
        memo=memo,
        memory=memory,
        attention=attention,
        training=training,
    )
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise UsageError(f"depth={depth!r} is no depth", "give 0 for one row, 1 for the root's children, and so on")
    given = given_inputs(args, kwargs, input_shape)
    with nullcontext() if restore_random else generators_left_alone():
        result, _ = measure(model, given, settings, arguments)
    return Report.of(result if depth is None else result.folded(depth))


@told_in_python()
def explain(
    model: nn.Module | str,
    what: str = "",
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    input_shape: Shapes | None = None,
    device: str = "auto",
    mode: Mode = "eval",
    train: bool = False,
    optimizer: str | MakeOptimizer | None = None,
    loss: str | Loss | None = None,
    autocast: str | None = None,
    attention: str = "auto",
) -> Explained:
    """How the numbers of a module or an operator come about: its calls, with formula, numbers put in, and sum.

    Args:
        model: a live module, or a spec.
        what: the path of a module ("layer1.0", "" for the whole model), or an operator that ran ("aten.conv2d").
        args: the inputs of one forward call, as for :func:`profile`; so are the other arguments.

    Returns:
        A record that prints as text; its calls add up to what a profile says of that module or operator.

    Raises:
        UsageError: the model has no such module, and ran no such operator.
        ModelstatError: see :func:`profile`.
    """
    from torchstat_cli.report.explanation import Explained
    from torchstat_cli.tasks.explain import explain as explain_part

    settings = Settings(
        device=device,
        mode="train" if train else mode,
        attention=attention,
        training=training_run(optimizer, loss, autocast) if train else None,
    )
    profile, _ = explain_part(model, what, given_inputs(args, kwargs, input_shape), settings)
    return Explained.of(profile)


def _refuse_for_live(**given: object) -> None:
    remedies = {"dtype": "convert it first: model.to(torch.bfloat16)", "arguments": "build it with these arguments"}
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name} is for models that a spec names; this one is built already", remedies[name])


@told_in_python()
def load_report(path: str | os.PathLike[str]) -> Report:
    """The report that ``report.save(path)`` or ``--format json`` wrote, less its timeline of memory and its phases.

    Raises:
        ModelstatError: the file cannot be read, is no report, or is one that this version does not understand.
    """
    return Report.of(read_report(path))


@told_in_python()
def load_model(spec: str, *, device: str = "cpu", **arguments: Any) -> nn.Module:
    """Build the model that a spec points at; keywords go to its factory.

    Raises:
        ModelstatError: the spec names nothing, or the factory raised.
    """
    return place(find_model(spec, arguments), device).model


@told_in_python()
def sweep(
    *models: str,
    inputs: Sequence[str] = (),
    vary: Mapping[str, Sequence[Any]] | None = None,
    dtype: str | None = None,
    mode: Mode = "eval",
    memory: bool = False,
    jobs: int | None = None,
    timeout: float | None = None,
    memory_limit: int | None = None,
) -> Sweep:
    """What many models cost, a row each, measured in worker processes.

    The workers are started anew: a script that calls this keeps what it does under ``if __name__ == "__main__":``.

    Args:
        models: specs, and patterns over a library's names: "timm/vit_*".
        inputs: specs of dummy inputs for every model, "1,3,224,224"; none takes each model's own example.
        vary: a row for each value: {"batch": [1, 8]}, {"input.H": [224, 320]}, {"arg.depth": [2, 4]}.
        dtype: of floating parameters and inputs.
        mode: "eval" or "train".
        memory: the simulated peak too.
        jobs: worker processes; None is one per processor, at most eight.
        timeout: seconds for one model.
        memory_limit: bytes that one worker may allocate.

    Returns:
        The rows in order; a model that failed is a row that says why.

    Raises:
        ModelstatError: nothing to sweep, or a setting that cannot be.
    """
    if not all(isinstance(model, str) for model in models):
        raise SpecError("a sweep takes specs alone, which its processes can build", "profile live modules one by one")
    settings = SweepSettings(tuple(inputs), (), dtype, mode, memory)
    settings.check()
    request = SweepRequest(jobs, timeout, memory_limit)
    varied = parse_variants([f"{name}={','.join(map(str, values))}" for name, values in (vary or {}).items()])
    return Sweep.of(run_sweep(tasks_of(expand(models, names_of), varied), settings, request))


def stat(model: nn.Module | str, input_size: Sequence[int]) -> Report:
    """torchstat's call: print the table of a model for one sample of ``input_size`` (C, H, W), and return the report.

    A batch axis of 1 is put before the size, as torchstat does.

    Raises:
        ModelstatError: see :func:`profile`.
    """
    size = as_shape(input_size)
    if size is None:
        raise InputError(f"input_size={shown(input_size)} is no shape", "write it without the batch: (3, 224, 224)")
    report = profile(model, input_shape=(1, *size))
    print(report)
    return report


def formula(*operators: str) -> Callable[[Formula], Formula]:
    """Decorator: what your own operator costs. The function takes an ``OpRecord`` and returns a ``Cost``.

    Args:
        operators: names as torch spells them, "mylib::fused_op".

    Raises:
        FormulaError: an operator already has a formula.
    """
    return user_registry().formula(*operators, source="registered by the user")


class Capture:
    """An observed loop; made by :func:`instrument`."""

    def __init__(self, model: nn.Module) -> None:
        refuse_sharded(model)
        self._model = peeled(model).model
        self._session = Session(self._model, operator_registry().knows, memo=Memo(skip_kernels=False))

    def __enter__(self) -> Capture:
        self._session.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, traceback)

    @told_in_python()
    def profile(self) -> Report:
        """What has run so far, as a report."""
        recording = self._session.recording()
        return Report.of(assemble(recording, live_provenance(self._model, recording), operator_registry()))


@told_in_python()
def instrument(model: nn.Module) -> Capture:
    """Observe a loop of your own: any number of calls, training steps, ``generate()``.

    with ms.instrument(model) as capture:
        model(x)
    capture.profile()

    Everything runs for real and as it would without; the model is left as it is.

    Raises:
        SpecError: ``model`` is not a module.
        ModelError: it is sharded over processes.
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"{shown(model)} is not a module", "build it first: ms.load_model('package.module:factory')")
    return Capture(model)
