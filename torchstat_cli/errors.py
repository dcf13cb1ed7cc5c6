"""One small tree of errors; each knows its exit code and its remedy.

ModelstatError
├── UsageError            the command line or a Python argument makes no sense
│   ├── SpecError         a model spec that names nothing usable
│   ├── SelectionError    a selection that names no activation (also a ValueError)
│   ├── EjectedError      a wrapper used after it was ejected, or given a layer the model lacks (also an AssertionError)
│   ├── InputError        an input spec that describes no tensor
│   └── UnsupportedTorchError  the installed torch lacks something that modelstat needs
├── ModelError            the user's model could not be measured
│   ├── BuildError        the factory raised
│   ├── ForwardError      the forward pass raised
│   ├── TrainingError     nothing to train, no usable loss, or a backward pass or optimiser that raised
│   └── PlacementError    the model fits no device that may be used
├── FormulaError          two claims on one operator, or a formula that raised
├── StrictError           ``--strict`` met an unknown operator or an assumption
├── ConfigError           a configuration file or table that cannot be used
├── BaselineError         a baseline or saved report that cannot be used
└── OutputError           a result that could not be written
"""

from __future__ import annotations


class ModelstatError(Exception):
    """Something the user can mend: one sentence with the cause, and a remedy.

    Misuse by a programmer stays ``ValueError`` / ``TypeError``; this tree is for trouble in specs, models and files.
    """

    exit_code = 2
    details: str | None = None  # the traceback of the process that raised it, for --debug
    notices: tuple[str, ...] = ()  # what the user should know about how the model's spec was resolved
    context: str | None = None  # what led there, in one line

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return "\n  ".join(line for line in (self.message, self.context, self.hint) if line)


class UsageError(ModelstatError):
    """The command line or a Python argument makes no sense."""


class SpecError(UsageError):
    """A model spec that names nothing usable."""


class SelectionError(UsageError, ValueError):
    """A selection that names no activation of the model; a ``ValueError`` too, as torchvision raises."""


class EjectedError(UsageError, AssertionError):
    """A wrapper that cannot run; an ``AssertionError`` too, as vit-pytorch raises."""


class InputError(UsageError):
    """An input spec that describes no tensor, or inputs that the model cannot take."""


class UnsupportedTorchError(UsageError):
    """The installed torch lacks something that modelstat needs."""


class ModelError(ModelstatError):
    """The user's model could not be measured."""


class BuildError(ModelError):
    """The factory raised, or returned something that is not a module."""


class ForwardError(ModelError):
    """The forward pass raised."""

    def __init__(self, message: str, hint: str | None = None, *, path: str = "") -> None:
        super().__init__(message, hint)
        self.path = path


class TrainingError(ModelError):
    """Nothing to train, a loss that is no number, or a backward pass or optimiser step that raised."""


class PlacementError(ModelError):
    """The model fits no device that may be used."""


class FormulaError(ModelstatError):
    """Two claims on one operator, or a formula that raised."""


class StrictError(ModelstatError):
    """``--strict`` met an unknown operator or an assumption."""


class ConfigError(ModelstatError):
    """A configuration file or table that cannot be used."""


class BaselineError(ModelstatError):
    """A baseline or saved report that cannot be used."""


class OutputError(ModelstatError):
    """A result that could not be written."""
