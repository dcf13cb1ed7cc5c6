"""What ``modelstat FILE`` shows of a file that holds weights alone."""

from __future__ import annotations

import click
from click.core import ParameterSource

from torchstat_cli.cli.streams import foreign_code, results
from torchstat_cli.errors import UsageError

_UNDERSTOOD = ("model", "allow_pickle", "units", "form", "output", "top", "pattern")
"""Parameters of ``profile`` that mean something for a list of tensors."""

_FORMATS = ("table", "csv", "json")


def show_weights(context: click.Context) -> bool:
    """List the tensors of the file that the command's MODEL names; False where that is no file of weights.

    Raises:
        SpecError: the file cannot be read.
        UsageError: an option asks for what needs a run.
    """
    asked = context.params
    with foreign_code():
        from torchstat_cli.loading.saved import is_saved_file, weights_in

        if not is_saved_file(asked["model"]):
            return False
        weights = weights_in(asked["model"], allow_pickle=asked["allow_pickle"])
    if weights is None:
        return False
    from torchstat_cli.report.weights import render
    from torchstat_cli.report.writing import terminal_of, write

    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in _UNDERSTOOD and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{weights.path} holds weights alone, and {parameter.opts[0]} needs a model that runs",
                "name the code that uses them, as package.module:factory",
            )
    if asked["form"] not in _FORMATS:
        raise UsageError(f"a list of weights is no {asked['form']}", f"write it as {' or '.join(_FORMATS)}")
    text = render(
        weights,
        asked["form"],
        terminal_of(asked["output"], results()),
        pattern=asked["pattern"],
        top=asked["top"],
        raw=asked["units"] == "raw",
    )
    write(text, asked["output"], results())
    return True
