"""How the numbers of one module or operator come about: a profile that keeps the calls behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from torchstat_cli.calculators.assemble import assemble
from torchstat_cli.calculators.explain import explain_module, explain_operator, operators_of
from torchstat_cli.errors import UsageError
from torchstat_cli.foreign_text import quoted, shown
from torchstat_cli.loading import Given, Inputs, find_model
from torchstat_cli.loading.failures import suggestion
from torchstat_cli.records import Profile, Recording
from torchstat_cli.tasks.measurement import Measurement
from torchstat_cli.tasks.profile import measure_live, measure_spec, no_module
from torchstat_cli.tasks.provenance import run_provenance
from torchstat_cli.tasks.rungs import Rung
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.modules import every_path
from torchstat_cli.torch_access.process import same_random_numbers

_ROOT_NAMES = ("", ".", "(root)")
_EXAMPLES = 3


def explain(
    model: nn.Module | str,
    what: str,
    given: Given | None,
    settings: Settings,
    arguments: Mapping[str, Any] | None = None,
    *,
    online: bool = False,
    allow_pickle: bool = False,
) -> tuple[Profile, tuple[str, ...]]:
    """The profile of a model, with the explanation of one module or operator, and notes on how it was reached.

    Args:
        model: a live module, or a spec.
        what: a module's path, "" for the model itself, or an operator: "aten.conv2d", "conv2d".
        given: ready inputs, specs of dummy inputs, or None for the model's own example.
        settings: how to run.
        arguments: of the factory that a spec names.
        online: whether a hub may be asked.
        allow_pickle: whether a saved file may run the code that it names.

    Raises:
        UsageError: the model has no such module, and ran no such operator.
        ModelstatError: see :func:`torchstat_cli.tasks.profile.measure`.
    """
    measurement = _Explaining(settings, what)
    if not isinstance(what, str):
        raise UsageError(f"{shown(what)} is no name", "give a module's path or an operator: 'layer1.0', 'aten.conv2d'")
    if not isinstance(model, (str, nn.Module)):
        raise no_module(model)
    if not isinstance(model, str):
        return measure_live(model, Inputs((), {}) if given is None else given, measurement)
    with same_random_numbers():  # a module may be built when it is imported
        source = find_model(model, arguments, online=online, allow_pickle=allow_pickle)
    return measure_spec(source, given, measurement)


@dataclass(frozen=True)
class _Explaining(Measurement):
    """Profile a model on each rung, and explain a part of it."""

    what: str

    def _assembled(self, rung: Rung, assume: bool) -> Profile:
        recording = self._recording(rung, rung.call, assume)
        registry = self.settings.registry
        path = _path_of(self.what, recording, rung.model)
        if path is not None:
            explanation = explain_module(recording, path, registry)
        else:
            explanation = explain_operator(recording, self._operator(recording, rung.model), registry)
        profile = assemble(recording, run_provenance(rung, recording, self.settings), registry)
        return replace(profile, explanation=explanation)

    def _operator(self, recording: Recording, model: nn.Module) -> str:
        """The operator that is meant, by its full name.

        Raises:
            UsageError: none that ran is called so.
        """
        ran = operators_of(recording)
        wanted = self.what.replace("::", ".").removeprefix("torch.ops.")
        for name in ran:
            if wanted in (name, name.partition(".")[2]) or wanted.rpartition(".")[0] == name:
                return name
        raise self._nothing(wanted, ran, model)

    def _nothing(self, wanted: str, ran: list[str], model: nn.Module) -> UsageError:
        paths = [path for path, _ in every_path(model) if path]
        names = [*paths, *ran, *(name.partition(".")[2] for name in ran)]
        what = quoted(self.what)
        if self.settings.registry.knows(wanted) or self.settings.registry.knows(f"aten.{wanted}"):
            close = suggestion(f"aten.{wanted.removeprefix('aten.')}", ran)
            return UsageError(
                f"this run has no call of {what}{close}", "`modelstat MODEL --by operator` lists the operators that ran"
            )
        examples = [*paths[:_EXAMPLES], *ran[:1]]
        return UsageError(
            f"the model has no module {what} and ran no such operator{suggestion(self.what, names)}",
            f"name a module or an operator, such as {' or '.join(examples)}",
        )


def _path_of(what: str, recording: Recording, model: nn.Module) -> str | None:
    """The path under which the module ``what`` is counted; None where the model has no such module."""
    if what in _ROOT_NAMES:
        return ""
    counted = {module.path for module in recording.modules}
    if what in counted:
        return what
    # A shared module has several paths, and is counted under the first.
    named = next((module for path, module in every_path(model) if path == what), None)
    same = (path for path, module in every_path(model) if named is not None and module is named and path in counted)
    return next(same, None)
