"""Begin to watch the memory of a session: what is there before, then every operator and module."""

from __future__ import annotations

from typing import Any

from torchstat_cli.capture.instrumentation.leaves import loose_values
from torchstat_cli.capture.memory.liveness import Liveness
from torchstat_cli.capture.session import Session
from torchstat_cli.torch_access.trees import tensors_in


def watch_memory(session: Session, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Liveness:
    """The log of ``session``, which holds the parameters, buffers and inputs already.

    To be called once the model's tensors are those of the run (twins, copies), before anything runs.
    """
    liveness = Liveness()
    sites = session.hooks.sites
    for kind, registry in (("parameter", "_parameters"), ("buffer", "_buffers")):
        for index, site in enumerate(sites):
            if registered := getattr(site.module, registry):
                liveness.hold([tensor for tensor in registered.values() if tensor is not None], kind, index)
    for index, site in enumerate(sites):
        # Tensors that a module holds outside its registries: anchors, caches.
        if loose := loose_values(site.module):
            liveness.hold(tensors_in([value for _, value in loose]), "buffer", index)
    liveness.hold(tensors_in((args, kwargs)), "input")
    session.tape.liveness = liveness
    session.hooks.listeners.append(liveness)
    return liveness
