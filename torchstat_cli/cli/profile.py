"""``modelstat [profile] MODEL``: what a model costs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from torchstat_cli.cli.messages import notice
from torchstat_cli.cli.options import (
    model_options,
    output_options,
    run_options,
    training,
    view_options,
)
from torchstat_cli.cli.streams import foreign_code, results
from torchstat_cli.cli.weights import show_weights
from torchstat_cli.errors import UsageError
from torchstat_cli.report import FORMATS

if TYPE_CHECKING:
    from torchstat_cli.records import Profile
    from torchstat_cli.report.profile.view import View


@click.command(name="profile")
@model_options
@click.option("--memory", is_flag=True, help="Simulate which tensors live when; tells the peak and where it is.")
@click.option("--generate", metavar="PROMPT,NEW", help="Prefill and decoding of a causal language model, in tokens.")
@run_options
@view_options
@output_options(*FORMATS)
@click.option("--strict", is_flag=True, help="Unknown operators and assumptions are errors.")
@click.option("--yes", is_flag=True, help="Run for real whatever it takes, where a model cannot run on meta.")
@click.option("--time", "timed", is_flag=True, help="Measure the wall time of each module on a real device as well.")
@click.option(
    "--no-memo", is_flag=True, help="Let torch compute every shape instead of remembering repeated operators."
)
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
    memory: bool,
    generate: str | None,
    train: bool,
    optimizer: str | None,
    loss: str | None,
    autocast: str | None,
    accumulate: int,
    attention: str,
    depth: int | None,
    by: str,
    unfold: bool,
    tree: bool,
    columns: str | None,
    sort: str | None,
    top: int | None,
    pattern: str | None,
    units: str,
    form: str,
    output: str | None,
    strict: bool,
    yes: bool,
    timed: bool,
    no_memo: bool,
) -> None:
    """Show params, FLOPs, MAdds (MACs) and memory of MODEL, per module or per operator.

    MODEL is package.module:factory, path/to/file.py:factory, a bare name (torchvision, timm or a sample model),
    torchvision/NAME, timm/NAME, hf/PATH, or a saved file (.pt2, .pt, .safetensors). Loading it runs its code.
    """
    from torchstat_cli.report.profile.view import View, check
    from torchstat_cli.report.writing import check_place

    names = tuple(name.strip() for name in columns.split(",")) if columns is not None else None
    view = View(by, depth, names, sort, top, pattern, units, unfold, tree)  # type: ignore[arg-type]
    check(view, form)
    check_place(output)
    if inputs and inputs_from:
        raise UsageError(
            "--input and --inputs were both given", "give shapes with --input, or ready inputs with --inputs"
        )
    if show_weights(click.get_current_context()):
        return
    if generate is not None:
        _refuse_beside_generation(train=train, inputs=inputs_from, timed=timed)
    with foreign_code():
        from torchstat_cli.loading import parse_arguments, parse_input, written_inputs
        from torchstat_cli.tasks.settings import Settings, floating_dtype

        settings = Settings(
            device=device,
            dtype=floating_dtype(dtype) if dtype else None,
            mode="train" if train else mode,  # type: ignore[arg-type]
            strict=strict,
            time=timed,
            memo=not no_memo,
            memory=memory,
            attention=attention,
            limit=sys.maxsize if yes else None,
            training=training(train, optimizer, loss, autocast, accumulate),
        )
        options = parse_arguments(arguments)
        if generate is not None:
            from torchstat_cli.tasks.generate import generation_spec, parse_generation

            tokens, specs = parse_generation(generate), tuple(map(parse_input, inputs))
            profile, notes = generation_spec(model, specs, settings, tokens, options, online=online)
        else:
            from torchstat_cli.tasks.profile import measure

            given = written_inputs(inputs, inputs_from)
            profile, notes = measure(model, given, settings, options, online=online, allow_pickle=allow_pickle)
    _show(profile, notes, form, view, output)


def _show(profile: Profile, notes: tuple[str, ...], form: str, view: View, output: str | None) -> None:
    from torchstat_cli.report import render
    from torchstat_cli.report.writing import terminal_of, write

    for note in notes:
        notice(note)
    write(render(profile, form, view, terminal_of(output, results())), output, results())


def _refuse_beside_generation(**given: object) -> None:
    names = {"train": "--train", "inputs": "--inputs", "timed": "--time"}
    for name, value in given.items():
        if value:
            raise UsageError(f"{names[name]} and --generate exclude each other", "run them one after the other")
