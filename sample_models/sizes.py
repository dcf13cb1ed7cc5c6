"""Check the sizes that a factory was given, before torch builds something odd from them."""

from __future__ import annotations


def require_sizes(**sizes: int) -> None:
    """Every size must be a positive integer.

    Raises:
        ValueError: one is not; the message names it.
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} must be a positive integer, got {size!r}")


def head_width(width: int, heads: int) -> int:
    """The channels of one attention head.

    Raises:
        ValueError: ``heads`` does not divide ``width``, or one of them is no size.
    """
    require_sizes(width=width, heads=heads)
    if width % heads:
        raise ValueError(f"width {width} cannot be split into {heads} attention heads; choose a divisor of the width")
    return width // heads
