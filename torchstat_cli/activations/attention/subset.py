"""Which part of a map is wanted: some heads, queries, keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchstat_cli.errors import SelectionError

Subset = Sequence[int] | slice | None


@dataclass(frozen=True, slots=True)
class MapSubset:
    """Which part of a map (…, heads, queries, keys) is wanted; full maps grow with the square of the tokens."""

    heads: Subset = None
    queries: Subset = None
    keys: Subset = None

    def of(self, maps: Tensor, *, has_heads: bool | None = None) -> Tensor:
        """The wanted part of full maps, shape (…, heads, queries, keys).

        ``has_heads`` says whether the third axis from the end is the heads; by default that of a map of four axes is.

        Raises:
            SelectionError: ``heads`` of a map that has no axis of heads.
            IndexError: an index beyond the axis.
        """
        if self.heads is not None:
            if not (maps.dim() > 3 if has_heads is None else has_heads):
                raise SelectionError(
                    f"heads cannot be chosen from an attention map of shape {tuple(maps.shape)}: none of its axes is "
                    "known to be the heads",
                    "leave heads out, or give the attention module the number of its heads as num_heads",
                )
            maps = chosen(maps, -3, self.heads)
        return chosen(chosen(maps, -2, self.queries), -1, self.keys)

    @property
    def without_keys(self) -> MapSubset:
        """The same heads and queries, of columns that are no keys."""
        return MapSubset(self.heads, self.queries)


def chosen(tensor: Tensor, dim: int, subset: Subset) -> Tensor:
    """The entries ``subset`` of ``tensor`` along ``dim``.

    Raises:
        IndexError: an index beyond the axis.
    """
    if subset is None:
        return tensor
    size = tensor.size(dim)
    indices = range(*subset.indices(size)) if isinstance(subset, slice) else subset
    outside = [index for index in indices if not -size <= index < size]
    if outside:
        raise IndexError(f"{outside[0]} is no index into {size} along dimension {dim} of the attention map")
    return tensor.index_select(dim, torch.tensor([index % size for index in indices], device=tensor.device))
