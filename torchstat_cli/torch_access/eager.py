"""Run models as plain Python: no compiled graphs, no fused fast paths, which hide what happens inside."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import nn

from torchstat_cli.torch_access.internals import backends
from torchstat_cli.torch_access.patching import Switch, replaced
from torchstat_cli.torch_access.wrappers import is_compiled

_T = TypeVar("_T")


def without_compiler() -> AbstractContextManager[None]:
    """Run compiled modules and functions as the eager code they came from: compiled graphs hide their operators."""
    if _is_compiler_loaded():
        return _eager_stance()
    # Nothing is compiled yet, and importing the compiler takes a second: what asks for it now gets eager code.
    return replaced(torch, "compile", lambda original: _leave_as_it_is)


def _is_compiler_loaded() -> bool:
    return "torch._dynamo" in sys.modules


def without_trace_of_the_compiler(run: Callable[[], _T]) -> _T:
    """The result of ``run``, after which no frame around it stays alive.

    Some meta kernels load the compiler when they first run. Loading it leaves a cycle of frames behind, which holds
    every tensor of the functions around it until the garbage collector comes by.
    """
    if _is_compiler_loaded():
        return run()
    result = run()
    if _is_compiler_loaded():
        gc.collect()
    return result


def _leave_as_it_is(model: Any = None, **options: Any) -> Any:
    """``torch.compile``, which is a decorator with options too."""
    return (lambda given: given) if model is None else model


_eager_stance = Switch(lambda: torch.compiler.set_stance("force_eager"))


def eagerly(model: nn.Module, *, compiled: bool | None = None) -> AbstractContextManager[None]:
    """Run compiled parts of ``model`` as plain Python inside the block.

    Code that was compiled before a hook existed goes on ignoring it without a word; run eagerly, every
    hook fires. Who knows whether anything was ``compiled`` saves the search.
    """
    if torch.compiler.is_compiling() or not (is_compiled(model) if compiled is None else compiled):
        return nullcontext()
    return _eager_stance()


def without_fast_paths() -> AbstractContextManager[None]:
    """Switch off the fused encoder and attention kernels of ``nn``, which hide their parts, and restore the switch."""
    return _no_fast_paths()


class _FastPaths:
    """torch's switch, and how it was found before it was thrown."""

    found = True

    @contextmanager
    def off(self) -> Iterator[None]:
        self.found = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(self.found)


_fast_paths = _FastPaths()
_no_fast_paths = Switch(_fast_paths.off)


@contextmanager
def fast_paths_as_found() -> Iterator[None]:
    """Within :func:`without_fast_paths`, have torch choose as it would outside, and on meta as on a real device."""
    off = torch.backends.mha.get_fastpath_enabled()
    name = backends._privateuse1_backend_name  # of the one device besides CPU, CUDA and XPU that has the fast paths
    torch.backends.mha.set_fastpath_enabled(_fast_paths.found)
    backends._privateuse1_backend_name = "meta"
    try:
        yield
    finally:
        backends._privateuse1_backend_name = name
        torch.backends.mha.set_fastpath_enabled(off)


def room_for_hooks() -> AbstractContextManager[None]:
    """Let calls nest twice as deep: hooks add calls of Python's between a module and the one around it."""
    return _deeper_calls()


@contextmanager
def _twice_the_recursion() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(2 * limit)
    try:
        yield
    finally:
        if sys.getrecursionlimit() == 2 * limit:  # else the model set its own
            sys.setrecursionlimit(limit)


_deeper_calls = Switch(_twice_the_recursion)
