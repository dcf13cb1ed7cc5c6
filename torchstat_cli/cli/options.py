"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from torchstat_cli.errors import UsageError

Decorator = Callable[[Any], Any]  # of a command, as click makes them


def combined(*options: Decorator) -> Decorator:
    """One decorator for several options, which the help lists in this order."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


SOURCE = (
    click.argument("model"),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="SPEC",
        help="[NAME=]SHAPE[:DTYPE], e.g. 1,3,224,224 or ids=1,16:int64<1000; repeatable.",
    ),
    click.option(
        "--inputs",
        "inputs_from",
        metavar="MODULE:FN",
        help="A function that returns the inputs: a tensor, a tuple, a dict or (args, kwargs).",
    ),
    click.option(
        "--arg",
        "arguments",
        multiple=True,
        metavar="KEY=VALUE",
        help="An argument of the model's factory; repeatable.",
    ),
)
"""Which model, with which inputs."""

DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="auto, meta (no memory), cpu, cuda, cuda:N, mps.",
)
ONLINE = click.option("--online", is_flag=True, help="Let hf/NAME ask the hub for a config.")
PICKLE = click.option("--allow-pickle", is_flag=True, help="Load pickled models (.pt, .pth): runs their code.")

model_options = combined(
    *SOURCE,
    click.option(
        "--dtype",
        metavar="DTYPE",
        help="Of floating parameters and inputs, as torch spells it: bfloat16, float16, …",
    ),
    DEVICE,
    click.option(
        "--mode",
        type=click.Choice(["eval", "train"]),
        default="eval",
        show_default=True,
        help="The training flags of the run.",
    ),
    ONLINE,
    PICKLE,
)
"""Which model, with which inputs, on which device."""

view_options = combined(
    click.option("--depth", type=int, metavar="N", help="Fold modules deeper than N."),
    click.option(
        "--by",
        type=click.Choice(["module", "group", "operator", "type"]),
        default="module",
        show_default=True,
        help="What a row is; a group is a module, or equal neighbors folded into one row.",
    ),
    click.option("--unfold", is_flag=True, help="Show equal neighbors one by one, also in tables and pages."),
    click.option("--tree", is_flag=True, help="In the terminal: the tree of modules, with a bar for each share."),
    click.option("--columns", metavar="A,B,C", help="Columns to show, by their JSON names; macs is madds."),
    click.option("--sort", metavar="[-]COLUMN", help="Order rows by a column; numbers descend, text does with a -."),
    click.option("--top", type=int, metavar="N", help="Show the first N rows."),
    click.option("--filter", "pattern", metavar="GLOB", help="Show rows whose name matches, e.g. 'layer1.*'."),
    click.option(
        "--units",
        type=click.Choice(["auto", "raw", "k", "M", "G", "T"]),
        default="auto",
        show_default=True,
        help="11.69 M, every digit, or everything in one unit, as a paper wants it.",
    ),
)
"""Which rows and columns, in which units."""

run_options = combined(
    click.option("--train", is_flag=True, help="A training step (forward, backward, optimiser) instead."),
    click.option("--optimizer", metavar="NAME", help="sgd, sgd-momentum, adam, adamw:foreach=True, …"),
    click.option("--loss", metavar="MODULE:FN", help="From the model's output to one number; default the sum."),
    click.option("--autocast", metavar="DTYPE", help="Mixed precision in the training step, e.g. bfloat16."),
    click.option("--accumulate", type=int, default=1, metavar="N", help="Backward passes per step."),
    click.option(
        "--attention",
        type=click.Choice(["auto", "math", "flash", "efficient"]),
        default="auto",
        show_default=True,
        help="The attention kernel to simulate; auto is the CPU's choice.",
    ),
)
"""What is simulated beyond a forward pass: memory, a training step, an attention backend."""


def training(train: bool, optimizer: str | None, loss: str | None, autocast: str | None, accumulate: int) -> Any:
    """How to train, from the options of :func:`run_options`; None without ``--train``.

    Raises:
        UsageError: an option that only training understands was given without it, or makes no sense.
    """
    given = {"--optimizer": optimizer, "--loss": loss, "--autocast": autocast, "--accumulate": accumulate > 1}
    if train:
        from torchstat_cli.tasks.settings import training_run

        return training_run(optimizer, loss, autocast, accumulate)
    for name, value in given.items():
        if value:
            raise UsageError(f"{name} only means something in a training step", "add --train")
    return None


def output_options(*formats: str) -> Decorator:
    """Where the result goes and how it is written."""
    return combined(
        click.option(
            "--format",
            "form",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="How to write the result.",
        ),
        click.option("--output", metavar="FILE", help="Write to a file instead of standard output."),
    )


def is_quiet() -> bool:
    """Whether the command that runs was given ``--quiet``."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.find_root().params.get("quiet", False))
