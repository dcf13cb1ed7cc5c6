"""How many bytes a module holds, and how many may be used."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn
from torch.nn.parameter import is_lazy

from torchstat_cli.torch_access.modules import buffers_of, parameters_of

_MOST = 4 * 1024**3  # bytes
_MOST_UNASKED = 1 * 1024**3  # bytes; a larger run for real should be asked for


def memory_limit() -> int:
    """Bytes allowed on the real CPU: 4 GiB, or half of the available memory where that is less."""
    return min(_MOST, _available_memory() // 2)


def unasked_limit() -> int:
    """Bytes allowed for a run on the real CPU that nobody asked for: 1 GiB, or half of what is available."""
    return min(_MOST_UNASKED, _available_memory() // 2)


def module_bytes(module: nn.Module) -> int:
    """Bytes of the distinct parameters and buffers; lazy ones without a shape count 0."""
    tensors = [*parameters_of(module), *buffers_of(module)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if not is_lazy(tensor))


def _available_memory() -> int:
    """Bytes that can be taken without swapping, as far as the system tells."""
    available = _physical_memory()
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024  # the file counts KiB
    # A container may be allowed less than its machine has.
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        for line in _lines(Path("/sys/fs/cgroup") / name):
            if line.isdigit():
                available = min(available, int(line))
    return available


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system answers
        return _MOST


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
