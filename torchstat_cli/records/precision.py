"""In which dtypes a model keeps its parameters, and in which it computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Precision(NamedTuple):
    """Amounts by dtype, as torch spells them."""

    params: Mapping[str, int]  # elements of distinct parameters
    trainable: Mapping[str, int]  # those among them that require gradients
    compute: Mapping[str, int]  # MAdds, by the dtype of their results
    caution: tuple[str, ...] = ()  # what an optimizer over low precision leaves out
