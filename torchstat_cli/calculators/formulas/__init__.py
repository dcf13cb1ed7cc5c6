"""Formulas by operator family; importing this package fills the registry of ``builtin.py``."""

from torchstat_cli.calculators.formulas import elementwise, free

__all__ = ["elementwise", "free"]
