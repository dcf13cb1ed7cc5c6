"""The one registry that the formula files of this project fill as they are imported."""

from __future__ import annotations

from torchstat_cli.calculators.registry import Registry

BUILTIN = Registry()
