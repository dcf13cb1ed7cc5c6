"""Active parameters of a mixture of experts: those that one token uses, by the top-k of the router.

A router is seen by what it runs, ``topk`` along an axis of as many scores as there are experts. The experts are modules
of one kind side by side, or parameters stacked along their first axis. Where the router picks in another way, a setting
beside the experts, such as ``top_k``, says how many. Where nothing says it, active parameters are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from torchstat_cli.calculators.experts.groups import ModuleTree, below, parent_of
from torchstat_cli.calculators.experts.picks import picks_of
from torchstat_cli.calculators.experts.routers import RouterSearch
from torchstat_cli.records import Mixture, Recording


def mixtures(recording: Recording) -> tuple[Mixture, ...] | None:
    """Every mixture of experts in order of registration; None where one of them does not say how many a token uses."""
    picks = picks_of(recording)
    if not picks and not any("xpert" in module.path for module in recording.modules):
        return ()
    search = RouterSearch(ModuleTree(recording), picks)
    counted: set[int] = set()
    within: list[str] = []
    found: list[Mixture] = []
    for experts in search.candidates:
        choice = search.choice(experts)
        if choice is None:
            if experts.is_named:
                return None
            continue
        active, chosen_by = choice
        params = sum(tensor.numel for tensor in experts.tensors if tensor.key not in counted)
        counted.update(tensor.key for tensor in experts.tensors)
        if params * active % experts.count or any(below(experts.path, member) for member in within):
            return None  # experts of different sizes, or inside other experts
        within.extend(experts.members)
        found.append(Mixture(experts.path, experts.count, active, params, params * active // experts.count, chosen_by))
    return tuple(_by_router(found))


def _by_router(found: Iterable[Mixture]) -> Iterator[Mixture]:
    """One mixture for all that one router chooses from: the first and the second matrix of experts may lie apart."""
    routed: dict[tuple[str, int], list[Mixture]] = {}
    for mixture in found:
        routed.setdefault((mixture.chosen_by, mixture.experts), []).append(mixture)
    for first, *others in routed.values():
        yield replace(
            first,
            path=_common([first.path, *(other.path for other in others)]),
            params=sum(part.params for part in (first, *others)),
            active_params=sum(part.active_params for part in (first, *others)),
        )


def _common(paths: Sequence[str]) -> str:
    """The module around all of ``paths``."""
    path = paths[0]
    while not all(below(other, path) for other in paths):
        path = parent_of(path)
    return path


def active_params(params: int, found: Iterable[Mixture]) -> int:
    """The parameters that one token uses: all but those of the experts that it does not go to."""
    return params - sum(mixture.params - mixture.active_params for mixture in found)
