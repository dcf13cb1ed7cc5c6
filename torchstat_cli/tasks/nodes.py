"""One model spec, its nodes: built without memory if possible, run where its values are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torchstat_cli.activations.nodes.choosing import selected
from torchstat_cli.activations.nodes.listing import NodeListing, list_nodes
from torchstat_cli.activations.nodes.recording import Progress
from torchstat_cli.activations.selection.engines import Engine
from torchstat_cli.errors import ForwardError, ModelError, ModelstatError
from torchstat_cli.foreign_text import first_line_of
from torchstat_cli.loading import Given, announced, find_model, forward_remedy
from torchstat_cli.tasks.ladder import Attempt, descend
from torchstat_cli.tasks.rungs import Rung, SpecLadder
from torchstat_cli.torch_access.process import same_random_numbers

__all__ = ["list_spec_nodes", "selected"]


def list_spec_nodes(
    spec: str,
    given: Given | None = None,
    *,
    engine: Engine = "auto",
    compat: str | None = None,
    device: str = "auto",
    arguments: Mapping[str, Any] | None = None,
    online: bool = False,
    allow_pickle: bool = False,
    progress: Progress | None = None,
) -> NodeListing:
    """What can be extracted from the model that ``spec`` points at; with shapes where its inputs are known.

    Raises:
        ModelstatError: the model cannot be found, built, traced (where that is forced) or run.
    """
    with same_random_numbers():  # a module may be built when it is imported
        source = find_model(spec, arguments, online=online, allow_pickle=allow_pickle)
    attempt = _Listing(engine, compat == "torchvision", device == "auto", progress)
    with announced(source.notices), same_random_numbers():
        held = descend(SpecLadder(source, given, device), attempt)
    listing = held.result
    return replace(listing, placement=held.rung.placement, notes=(*source.notices, *held.notes, *listing.notes))


@dataclass(frozen=True)
class _Listing(Attempt[NodeListing]):
    """List the nodes of a model on each rung."""

    engine: Engine
    torchvision_names: bool
    may_run_for_real: bool  # the device is "auto"
    progress: Progress | None  # called with each node

    def run(self, rung: Rung) -> NodeListing:
        """The nodes, with shapes where there are inputs."""
        inputs = None if rung.inputs is None else (rung.inputs.args, rung.inputs.kwargs)
        names = self.torchvision_names
        try:
            return list_nodes(rung.model, inputs, engine=self.engine, torchvision_names=names, progress=self.progress)
        except ModelstatError:
            raise
        except Exception as error:
            # The user's code ran, and may raise anything.
            reason = first_line_of(error)
            raise ForwardError(
                f"{rung.origin.spec} does not run on these inputs: {reason}", forward_remedy(error, rung.inputs)
            ) from error

    def needs_values(self, error: ModelError) -> bool:
        """Whether real tensors may help: the model runs on bare meta tensors here, which fail in many words."""
        return super().needs_values(error) or (self.may_run_for_real and isinstance(error, ForwardError))
