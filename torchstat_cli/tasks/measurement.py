"""The profile of a model that is ready to run: one observed run, assembled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torchstat_cli.calculators.assemble import assemble
from torchstat_cli.capture.dispatch.memo import Memo, shared_memo
from torchstat_cli.capture.run import RunOptions, record_run
from torchstat_cli.capture.values.known import ValueUnknownError
from torchstat_cli.errors import ForwardError, ModelError, StrictError, TrainingError
from torchstat_cli.loading import Inputs, forward_remedy
from torchstat_cli.records import Profile, Recording
from torchstat_cli.tasks.ladder import Assumed, Attempt
from torchstat_cli.tasks.provenance import run_provenance
from torchstat_cli.tasks.rungs import Rung
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.interrupts import held_back, let_through
from torchstat_cli.torch_access.process import without_collection


@dataclass(frozen=True)
class Measurement(Attempt[Profile]):
    """Profile a model on each rung."""

    settings: Settings

    def run(self, rung: Rung) -> Profile:
        """The profile without assumptions."""
        return self.profile(rung, assume=False)

    def assume(self, rung: Rung) -> Assumed[Profile] | None:
        """The profile with unknown values answered by stated rules; None where that does not help either."""
        try:
            profile = self.profile(rung, assume=True)
        except (ValueUnknownError, ForwardError, TrainingError):
            return None
        return Assumed(profile, profile.total.memory)

    def needs_values(self, error: ModelError) -> bool:
        """Whether real tensors may help: values were asked for, or the error is one of meta tensors."""
        return isinstance(error, ValueUnknownError) or super().needs_values(error)

    def profile(self, rung: Rung, *, assume: bool) -> Profile:
        """One observed run, assembled.

        Raises:
            ModelError: the model cannot be run.
            InputError: there are no inputs.
            StrictError: an operator has no formula, and the settings are strict.
        """
        with held_back(), without_collection(), let_through():
            profile = self._assembled(rung, assume)
        if self.settings.strict:
            _refuse_unknown(profile)
        return profile

    def _assembled(self, rung: Rung, assume: bool) -> Profile:
        # The recording is gone on return, before the garbage collector looks at all that was made meanwhile.
        recording = self._recording(rung, rung.call, assume)
        return assemble(recording, run_provenance(rung, recording, self.settings), self.settings.registry)

    def options(self, rung: Rung, *, assume: bool) -> RunOptions:
        """How to run on a rung."""
        settings = self.settings
        return RunOptions(
            on_meta=rung.on_meta,
            train_mode=settings.mode == "train",
            assume=assume,
            memo=shared_memo if settings.memo else Memo(skip_kernels=False),
            memory=settings.memory,
            attention=settings.attention,
            training=settings.training,
        )

    def _recording(self, rung: Rung, inputs: Inputs, assume: bool) -> Recording:
        run = partial(record_run, rung.model, inputs.args, inputs.kwargs, self.settings.registry.knows)
        try:
            return run(self.options(rung, assume=assume))
        except ForwardError as error:
            if error.hint is None:
                error.hint = forward_remedy(error.__cause__, inputs)
            raise


def _refuse_unknown(profile: Profile) -> None:
    if profile.unknown:
        names = ", ".join(f"{unknown.op} ({unknown.calls} calls)" for unknown in profile.unknown)
        raise StrictError(
            f"no formula for {names}, so the totals are only lower bounds",
            "register one with @torchstat_cli.formula, or leave --strict out",
        )
