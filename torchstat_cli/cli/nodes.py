"""``modelstat nodes MODEL``: the names whose activations can be extracted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from torchstat_cli.cli.messages import notice
from torchstat_cli.cli.options import DEVICE, ONLINE, PICKLE, SOURCE, combined, output_options
from torchstat_cli.cli.progress import running
from torchstat_cli.cli.streams import foreign_code, results
from torchstat_cli.errors import UsageError

if TYPE_CHECKING:
    from torchstat_cli.activations.nodes.listing import NodeListing
    from torchstat_cli.activations.nodes.recording import NodeRecord


node_options = combined(
    *SOURCE,
    DEVICE,
    click.option(
        "--engine",
        type=click.Choice(["auto", "fx", "runtime", "hooks"]),
        default="auto",
        show_default=True,
        help="fx traces, runtime records a run, hooks lists modules.",
    ),
    click.option("--compat", type=click.Choice(["torchvision"]), help="torchvision's names, warts included."),
    click.option(
        "--mode",
        type=click.Choice(["eval", "train", "both"]),
        default="eval",
        show_default=True,
        help="Whose nodes; both tells in which mode each runs.",
    ),
    click.option(
        "--filter",
        "pattern",
        metavar="SELECTION",
        help="Show what a selection means: 'layer1.*', 'type:Conv2d', 'op:softmax', 'attn'.",
    ),
    ONLINE,
    PICKLE,
)
"""Which model, with which inputs, observed in which way."""


@click.command(name="nodes")
@node_options
@output_options("table", "csv", "json", "names")
def command(mode: str, pattern: str | None, form: str, output: str | None, **choices: Any) -> None:
    """List what can be extracted from MODEL, in order of execution, with shapes and sizes.

    The names go into create_feature_extractor, and so do patterns: 'layer1.*', 'type:Conv2d', 'op:softmax', 'attn'.
    Attention maps, which fused kernels never show, are called attn:MODULE.
    """
    from torchstat_cli.report.nodes import render
    from torchstat_cli.report.writing import check_place, terminal_of, write

    check_place(output)
    listing = listed(**choices)
    for note in listing.notes:
        notice(note)
    notice(f"names found by the engine {listing.engine}; placement {listing.placement}")
    rows = chosen(listing, mode, pattern)
    if not rows:
        raise UsageError(f"no node matches {pattern!r}", _remedy(pattern, listing))
    write(render(rows, form, terminal_of(output, results())), output, results())


def listed(
    model: str, inputs: tuple[str, ...], inputs_from: str | None, arguments: tuple[str, ...], **choices: Any
) -> NodeListing:
    """The nodes of the model, with progress on standard error."""
    if inputs and inputs_from:
        raise UsageError("--input and --inputs were both given", "give one of the two")
    with foreign_code(), running("listing nodes") as progress:
        from torchstat_cli.loading import parse_arguments, written_inputs
        from torchstat_cli.tasks.nodes import list_spec_nodes

        factory_arguments = parse_arguments(arguments)
        given = written_inputs(inputs, inputs_from)
        return list_spec_nodes(model, given, arguments=factory_arguments, progress=progress, **choices)


def _remedy(pattern: str | None, listing: NodeListing) -> str:
    if pattern is not None and pattern.startswith("attn"):
        if not any(node.shapes for node in listing.eval):
            return "attention is found by running the model: give --input"
        return "no fused kernel, MultiheadAttention or softmax in an attention module ran; leave --filter out"
    return "write a glob such as 'layer1.*', or leave --filter out"


def chosen(listing: NodeListing, mode: str, pattern: str | None) -> list[tuple[NodeRecord, str]]:
    """The nodes of one mode, or of both in the order of training first, each with its modes.

    Raises:
        SelectionError: the pattern is no selection.
    """
    from torchstat_cli.tasks.nodes import selected

    modes = {"train": listing.train, "eval": listing.eval}
    if mode != "both":
        modes = {mode: modes[mode]}
    found: dict[str, tuple[NodeRecord, list[str]]] = {}
    for name, nodes in modes.items():
        for node in nodes:
            found.setdefault(node.name, (node, []))[1].append(name)
    rows = [(node, " ".join(names)) for node, names in found.values()]
    kept = {node.name for node in selected([node for node, _ in rows], pattern)}
    return [(node, names) for node, names in rows if node.name in kept]
