"""``modelstat fit MODEL``: the largest batch, or sequence, that fits a memory size."""

from __future__ import annotations

from typing import Any

import click

from torchstat_cli.cli.messages import notice
from torchstat_cli.cli.options import model_options, output_options, run_options, training
from torchstat_cli.cli.progress import counting
from torchstat_cli.cli.streams import foreign_code, results
from torchstat_cli.errors import UsageError


@click.command(name="fit")
@model_options
@click.option("--budget", metavar="SIZE", help="Memory to fit, e.g. 24GiB.")
@click.option("--gpu", metavar="NAME", help="A known device instead: a100-80gb, h100-80gb, l4, rtx4090, …")
@click.option(
    "--vary",
    multiple=True,
    metavar="[NAME:]AXIS",
    help="What grows: an axis of an input; by default axis 0 of all. Repeatable, e.g. --vary input_ids:1.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=1 << 20, show_default=True, metavar="N", help="Try no larger size."
)
@run_options
@output_options("table", "json")
def command(
    model: str,
    inputs: tuple[str, ...],
    inputs_from: str | None,
    arguments: tuple[str, ...],
    dtype: str | None,
    device: str,
    mode: str,
    online: bool,
    allow_pickle: bool,
    budget: str | None,
    gpu: str | None,
    vary: tuple[str, ...],
    limit: int,
    train: bool,
    optimizer: str | None,
    loss: str | None,
    autocast: str | None,
    accumulate: int,
    attention: str,
    form: str,
    output: str | None,
) -> None:
    """Find the largest batch of MODEL that fits a memory size, by simulation; nothing is allocated.

    What is searched is the peak of tensor memory of a forward pass, or of a training step with --train. Devices that
    would run each size for real (--device cpu, cuda) are refused.
    """
    from torchstat_cli.report.fit import render
    from torchstat_cli.report.writing import check_place, write

    check_place(output)
    if inputs_from:
        raise UsageError("ready inputs cannot be made larger", "give shapes with --input instead of --inputs")
    nbytes, known = _memory(budget, gpu)
    with foreign_code():
        from torchstat_cli.loading import parse_arguments, parse_input
        from torchstat_cli.tasks.fit import FitRequest, fit_spec
        from torchstat_cli.tasks.settings import Settings, floating_dtype

        settings = Settings(
            device=device,
            dtype=floating_dtype(dtype) if dtype else None,
            mode="train" if train else mode,  # type: ignore[arg-type]
            memory=True,
            attention="flash" if known and attention == "auto" else attention,  # what torch takes on a GPU if it can
            training=training(train, optimizer, loss, autocast, accumulate),
        )
        request = FitRequest(
            budget=nbytes,
            vary=vary,
            limit=limit,
            device=known.name if known else None,
            source=known.source if known else None,
        )
        specs, options = tuple(map(parse_input, inputs)), parse_arguments(arguments)
        with counting("simulating") as tried:
            result, notes = fit_spec(
                model, specs, settings, request, options, online=online, allow_pickle=allow_pickle, tried=tried
            )
    for note in notes:
        notice(note)
    write(render(result, form), output, results())


def _memory(budget: str | None, gpu: str | None) -> tuple[int, Any]:
    """Bytes to fit, and the known device they are of.

    Raises:
        UsageError: neither or both were given, or one means nothing.
    """
    from torchstat_cli.devices import find_device
    from torchstat_cli.units import parse_quantity

    if (budget is None) == (gpu is None):
        problem = "both --budget and --gpu were given" if budget else "no memory size was given"
        raise UsageError(problem, "give one of --budget 24GiB and --gpu a100-80gb")
    if gpu is not None:
        device = find_device(gpu)
        return device.nbytes, device
    try:
        nbytes = parse_quantity(budget or "")
    except ValueError as error:
        raise UsageError(f"--budget: {error}", "write it as 24GiB or 80GB") from error
    if nbytes <= 0:
        raise UsageError("a budget of nothing holds nothing", "write it as 24GiB or 80GB")
    return nbytes, None
