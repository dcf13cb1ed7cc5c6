"""Bytes that an operator newly allocates for its results."""

from __future__ import annotations

from torchstat_cli.records import OpRecord


def allocated(op: OpRecord) -> int:
    """Bytes of the storages behind the outputs, each once and whole; a storage of an input is nothing new."""
    given = {tensor.storage for tensor in op.inputs}
    fresh = {output.storage: output.storage_bytes for output in op.outputs if output.storage not in given}
    return sum(fresh.values())
