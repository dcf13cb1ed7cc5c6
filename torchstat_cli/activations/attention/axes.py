"""Bring a map's axes into one order: (batch, heads, queries, keys)."""

from __future__ import annotations

from torch import Tensor

from torchstat_cli.activations.attention.owners import Owner


def arranged(maps: Tensor, owner: Owner) -> tuple[Tensor, bool]:
    """``maps`` with the heads in the third axis from the end, and whether they are known to be there.

    Heads are found by their number. They may be folded into the batch (…·heads, queries, keys), split by key heads
    (batch, key heads, groups, queries, keys), folded into the queries (batch, key heads, groups·queries, keys), or
    stand behind the queries (batch, queries, heads, keys). Where the owner does not know its heads, or no axis has
    their number, the map is left as it is.
    """
    heads = owner.heads
    if heads is None:
        return maps, maps.dim() > 3
    if maps.dim() == 3:
        return (maps.unflatten(0, (-1, heads)), True) if _is_folded(maps, heads, owner.given) else (maps, False)
    if maps.dim() < 3:
        return maps, False
    if owner.groups > 1:
        maps = _unpacked(maps, heads, owner.groups)
    axis = _head_axis(maps, heads, owner)
    return (maps, False) if axis is None else (maps.movedim(axis, -3), True)


def _is_folded(maps: Tensor, heads: int, given: tuple[int, ...]) -> bool:
    """Whether the first axis is batch times heads, and not a batch of maps that have no heads."""
    rows, queries = maps.shape[:2]
    if rows % heads:
        return False
    batch = rows // heads
    if len(given) == 2:
        # Tokens may come first or second in what the module was given.
        if sorted((batch, queries)) == sorted(given):
            return True
        if sorted((rows, queries)) == sorted(given):
            return False
    return batch in given or rows not in given


def _unpacked(maps: Tensor, heads: int, groups: int) -> Tensor:
    """Query heads that share a key head side by side again, wherever they were packed to."""
    split = maps.dim() >= 5 and maps.size(-3) == groups and maps.size(-4) * groups == heads
    if not split and maps.size(-3) != heads and maps.size(-3) * groups == heads and maps.size(-2) % groups == 0:
        maps, split = maps.unflatten(-2, (groups, -1)), True
    return maps.flatten(-4, -3) if split else maps


def _head_axis(maps: Tensor, heads: int, owner: Owner) -> int | None:
    last = maps.dim() - 1
    if owner.windowed and maps.dim() == 4 and maps.size(-2) == heads:
        return last - 1
    if maps.size(-3) == heads:
        return last - 2
    # Behind the queries, before the blocks, before the batch.
    return next((axis for axis in (last - 1, 1, 0) if maps.size(axis) == heads), None)
