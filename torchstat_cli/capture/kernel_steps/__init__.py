"""Kernels that make tensors of their own below the dispatcher, written out as the steps that they take."""

from torchstat_cli.capture.kernel_steps import (  # noqa: F401  (imported for the steps that they register)
    attention,
    encoder,
    spectral,
    values_only,
)
from torchstat_cli.capture.kernel_steps.table import Kernels, steps_of

__all__ = ["Kernels", "steps_of"]
