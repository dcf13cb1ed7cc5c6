"""Metadata rules of our own for the most common operators, equal to torch's meta kernels and far cheaper.

torch's Python meta kernels cost tens of microseconds per call, and the first of them pulls in the compiler stack,
about a second. A rule answers only the plain case (contiguous inputs of one floating dtype) and leaves everything
else, errors included, to torch by returning ``NotImplemented``. The tests hold every rule against torch's own kernel.
"""

from torchstat_cli.capture.dispatch.meta_kernels import (  # noqa: F401  (imported for the rules that they register)
    attention,
    contractions,
    elementwise,
    losses,
    movement,
    normalization,
    recurrent,
    reductions,
    windows,
)
from torchstat_cli.capture.dispatch.meta_kernels.rules import CORRECTIONS, RULES, infer

__all__ = ["CORRECTIONS", "RULES", "infer"]
