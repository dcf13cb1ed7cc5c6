"""The models whose simulated peaks are held against the real allocator's."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.peaks.attention import attention_cases
from benchmarks.peaks.case import Case
from benchmarks.peaks.graphs import graph_cases
from benchmarks.peaks.kernels import kernel_cases
from benchmarks.peaks.libraries import library_cases
from benchmarks.peaks.networks import network_cases


def cases(large: bool) -> Iterator[Case]:
    """The models; ``large`` where the machine can take full batches."""
    batch = 16 if large else 4
    yield from library_cases(batch, large)
    yield from network_cases(batch)
    yield from attention_cases()
    yield from kernel_cases()
    yield from graph_cases()
