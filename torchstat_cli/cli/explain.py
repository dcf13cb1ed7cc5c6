"""``modelstat explain MODEL PATH|OPERATOR``: how a number comes about."""

from __future__ import annotations

import click

from torchstat_cli.cli.messages import notice
from torchstat_cli.cli.options import model_options, output_options, run_options, training
from torchstat_cli.cli.streams import foreign_code, results
from torchstat_cli.errors import UsageError


@click.command(name="explain", options_metavar="[OPTIONS]")
@model_options
@click.argument("what", metavar="[PATH|OPERATOR]", default="")
@run_options
@output_options("table", "json")
def command(
    model: str,
    what: str,
    inputs: tuple[str, ...],
    inputs_from: str | None,
    arguments: tuple[str, ...],
    dtype: str | None,
    device: str,
    mode: str,
    online: bool,
    allow_pickle: bool,
    train: bool,
    optimizer: str | None,
    loss: str | None,
    autocast: str | None,
    accumulate: int,
    attention: str,
    form: str,
    output: str | None,
) -> None:
    """Show how the numbers of a module or an operator of MODEL come about.

    PATH is a module, such as layer1.0.conv1; OPERATOR is one that ran, such as aten.conv2d. Each of its calls is shown
    with the formula, the numbers put in and the result. A module that holds others also lists all operators in it, with
    their sum; without PATH that is the whole model.
    """
    from torchstat_cli.report.explanation import render
    from torchstat_cli.report.writing import check_place, terminal_of, write

    check_place(output)
    if inputs and inputs_from:
        raise UsageError("--input and --inputs were both given", "give one of the two")
    with foreign_code():
        from torchstat_cli.loading import parse_arguments, written_inputs
        from torchstat_cli.tasks.explain import explain
        from torchstat_cli.tasks.settings import Settings, floating_dtype

        settings = Settings(
            device=device,
            dtype=floating_dtype(dtype) if dtype else None,
            mode="train" if train else mode,  # type: ignore[arg-type]
            attention=attention,
            training=training(train, optimizer, loss, autocast, accumulate),
        )
        given = written_inputs(inputs, inputs_from)
        options = parse_arguments(arguments)
        profile, notes = explain(model, what, given, settings, options, online=online, allow_pickle=allow_pickle)
    for note in notes:
        notice(note)
    write(render(profile, form, terminal_of(output, results())), output, results())
