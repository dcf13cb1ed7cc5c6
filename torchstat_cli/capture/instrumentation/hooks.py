"""The capture hooks: they keep the stack of running modules and fill the metadata rows."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.capture.instrumentation.buffers import MetadataRow
from torchstat_cli.capture.instrumentation.leaves import Site
from torchstat_cli.records import Shape
from torchstat_cli.torch_access.internals import TorchDispatchMode
from torchstat_cli.torch_access.modes import is_open_here
from torchstat_cli.torch_access.modules import modules_of
from torchstat_cli.torch_access.trees import shapes_in, tensors_in


@dataclass(frozen=True, slots=True)
class Failure:
    """The innermost module that was running when an exception passed through it."""

    error: BaseException
    path: str
    input_shape: tuple[Shape, ...]


class Listener(Protocol):
    """Hears of every module that begins and ends, by its index."""

    def entered(self, index: int) -> None:
        """The module ``index`` begins to run."""

    def left(self, index: int) -> None:
        """The module ``index`` has ended, and with it those above it on the stack."""


class _Hook:
    """A hook that stays behind when its module is copied or pickled while it is observed."""

    __slots__ = ("hooks", "index", "row")

    def __init__(self, hooks: CaptureHooks, index: int) -> None:
        self.hooks = hooks
        self.index = index
        self.row = hooks.rows[index]

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., None]:
        return _no_hook

    def __reduce__(self) -> tuple[Any, ...]:
        return _stand_in, ()


class _Enter(_Hook):
    """The module begins."""

    __slots__ = ()

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hooks = self.hooks
        if not is_open_here(hooks.mode):  # another thread: modes do not follow there
            hooks.unseen_calls += 1
            hooks.unseen(self.index)
            return
        hooks.running.append(self.index)
        for listener in hooks.listeners:
            listener.entered(self.index)
        row = self.row
        row.count_call()
        if row.calls == 1:
            hooks.started += 1
            row.write_input(hooks.started, _shapes_of_call(args, kwargs))


class _Leave(_Hook):
    """The module ends, with a result or with an exception."""

    __slots__ = ()

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> None:
        hooks, index, row = self.hooks, self.index, self.row
        if not is_open_here(hooks.mode):
            return
        error = sys.exc_info()[1]
        if error is not None:
            hooks.note_failure(error, index, _shapes_of_call(args, kwargs))
        running = hooks.running
        # A module that calls itself ends inside first.
        if row.begun is not None and (row.calls == 1 or index not in running[1:-1]):
            first = output if isinstance(output, torch.Tensor) else next(tensors_in(output), None)
            row.write_output(shapes_in(output), None if first is None else first.dtype)
        # Down to this module: an exception may have skipped the hooks of modules below it.
        if running[-1] == index and len(running) > 1:
            running.pop()
        elif index in running[1:]:
            while running.pop() != index:
                pass
        else:
            return
        for listener in hooks.listeners:
            listener.left(index)


def _shapes_of_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Shape, ...]:
    return shapes_in(args[0] if len(args) == 1 and not kwargs else (args, kwargs))


def _no_hook(*args: Any) -> None:
    """What a copy carries instead."""


def _stand_in() -> Callable[..., None]:
    return _no_hook


class CaptureHooks:
    """Hooks and metadata rows on every module of a model, from ``attach`` to ``detach``."""

    def __init__(self, sites: tuple[Site, ...]) -> None:
        self.sites = sites
        self.mode: TorchDispatchMode | None = None  # whose observation the hooks belong to; open in its thread alone
        self.rows: list[MetadataRow] = []  # one per site, in the same order
        self.running: list[int] = [0]  # indices of the running modules; work outside all of them is the root's
        self.failure: Failure | None = None
        self.listeners: list[Listener] = []
        self.unseen_calls = 0  # in threads where no tape is open
        self.unseen: Callable[[int], None] = lambda index: None  # gets the module of each such call
        self.started = 0  # modules called so far
        self._key = RemovableHandle(OrderedDict()).id  # of both hooks on every module, as torch numbers them

    def attach(self) -> None:
        """Register a row and two hooks per module; attached again, the rows go on counting."""
        if not self.rows:
            self.rows = MetadataRow.of_all([site.module for site in self.sites])
        for index, (site, row) in enumerate(zip(self.sites, self.rows, strict=True)):
            if site.takes_hooks:
                if site.is_leaf:
                    row.register()
                self._hook(index, site.module)

    def detach(self) -> None:
        """Remove everything that ``attach`` added; the rows stay readable."""
        for site, row in zip(self.sites, self.rows, strict=False):  # there are no rows if they could not be made
            if site.takes_hooks:
                self._unhook(site.module)
                row.remove()
        del self.running[1:]

    @contextmanager
    def withdrawn(self, module: nn.Module) -> Iterator[None]:
        """The hooks of ``module`` and all in it are away within the context."""
        inside = set(map(id, modules_of(module)))
        taken = [
            (index, site.module)
            for index, site in enumerate(self.sites)
            if id(site.module) in inside and self._key in site.module._forward_hooks
        ]
        for _, inner in taken:
            self._unhook(inner)
        try:
            yield
        finally:
            for index, inner in taken:
                self._hook(index, inner)

    def note_failure(self, error: BaseException, index: int, shapes: tuple[Shape, ...]) -> None:
        """An exception passes through the module ``index``; the first to hear of it is the innermost."""
        if _is_failure(error) and (self.failure is None or self.failure.error is not error):
            self.failure = Failure(error, self.sites[index].path, shapes)

    def _hook(self, index: int, module: nn.Module) -> None:
        """What ``register_forward_pre_hook`` and ``register_forward_hook`` do, which take five times as long."""
        key = self._key
        # First in, last out: work done by other people's hooks belongs to the module they sit on.
        before: Any = module._forward_pre_hooks  # an OrderedDict
        before[key] = _Enter(self, index)
        before.move_to_end(key, last=False)
        module._forward_pre_hooks_with_kwargs[key] = True
        module._forward_hooks[key] = _Leave(self, index)
        module._forward_hooks_with_kwargs[key] = True
        module._forward_hooks_always_called[key] = True

    def _unhook(self, module: nn.Module) -> None:
        for registry in (
            module._forward_pre_hooks,
            module._forward_pre_hooks_with_kwargs,
            module._forward_hooks,
            module._forward_hooks_with_kwargs,
            module._forward_hooks_always_called,
        ):
            registry.pop(self._key, None)


def _is_failure(error: BaseException) -> bool:
    """Checkpointing ends a recomputation by an exception; keeping it would keep every tensor of its traceback alive."""
    return type(error).__name__ != "_StopRecomputationError"
