"""Watch storages live and die: every storage from the operator that allocates it to the moment its memory is free.

torch keeps one Python object per storage as long as the storage lives, so a weak reference to it tells the true end of
life: views, aliases and tensors saved for the backward pass share the object, in-place results are the object.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from torchstat_cli.records import Block, Frame, MemoryLog, OpRecord, Phase
from torchstat_cli.torch_access.internals import current_autograd_node
from torchstat_cli.torch_access.patching import replaced


class _Live:
    """A block that is being written; its record is made at the end."""

    __slots__ = ("end", "frame", "kind", "module", "nbytes", "node", "op", "outlived", "start", "taken_over")

    def __init__(self, nbytes: int, kind: str | None, start: int, module: int, op: str, frame: int | None) -> None:
        self.nbytes, self.kind, self.start = nbytes, kind, start
        self.module, self.op, self.frame = module, op, frame
        self.end: int | None = None
        self.outlived = False
        self.node: int | None = None  # of autograd, by number, that made it in a backward pass
        self.taken_over: tuple[_Live, ...] = ()  # blocks that torch may have written this one into


class Liveness:
    """The log of one run, written by the operator tape and the capture hooks."""

    def __init__(self) -> None:
        self._ran: list[tuple[int, str]] = []  # module index and name of every operator that has run
        self._blocks: list[_Live] = []
        self._living: dict[int, tuple[weakref.ref[torch.UntypedStorage], _Live]] = {}  # by the storage's address
        self._frames: list[tuple[int, int, int]] = []  # module index, start, end
        self._open: list[tuple[int, int]] = []  # module index, position in _frames
        self._running: set[int | None] = set()  # the positions of those that are open
        self._phases: list[Phase] = []

    @property
    def _clock(self) -> int:
        """Number of the operator that runs, or runs next."""
        return len(self._ran)

    # --- what was there before, and what things turn out to be -------------------------------------------------------

    def hold(self, tensors: Iterable[torch.Tensor], kind: str, module: int = 0) -> None:
        """``tensors`` are there before anything runs; a storage that is held already keeps its class."""
        for storage in _storages(tensors):
            self._track(storage, kind, module, "")

    def mark(self, tensors: Iterable[torch.Tensor], kind: str) -> None:
        """``tensors`` turned out to be of the class ``kind``, and were all along."""
        for storage in _storages(tensors):
            known = self._living.get(storage._cdata)
            if known is None:
                self._track(storage, kind, 0, "")
            elif known[1].kind is None:
                known[1].kind = kind

    @contextmanager
    def phase(self, step: int, name: str) -> Iterator[None]:
        """What runs in this context is phase ``name`` of training step ``step``."""
        start = self._clock
        yield
        self._phases.append(Phase(step, name, start, self._clock))

    # --- called by the tape and the hooks ----------------------------------------------------------------------------

    def after(
        self, record: OpRecord, module: int, result: Any, inside: int = 0, terms: Sequence[Any] | None = None
    ) -> None:
        """An operator of ``module`` has run.

        Args:
            record: the operator.
            module: index of the module that it belongs to.
            result: what it returned.
            inside: bytes that it held while running, beyond its arguments and results.
            terms: its arguments, where it ran in a backward pass.
        """
        if inside:
            self._add(inside, None, module, record.name).end = self._clock + 1
        if "view" not in record.tags:
            self._see(result, module, record.name)
            if terms is not None and (node := current_autograd_node()) is not None:
                number = node._sequence_nr()
                if record.name == "aten.add":
                    self._note_sum(terms, result, number)
                self._note_node(number)
        self._ran.append((module, record.name))

    def entered(self, index: int) -> None:
        """The module ``index`` begins to run."""
        self._open.append((index, len(self._frames)))
        self._running.add(len(self._frames))
        self._frames.append((index, self._clock, self._clock))

    def left(self, index: int) -> None:
        """The module ``index`` has ended; so have those above it, which an exception may have skipped."""
        if (not self._open or self._open[-1][0] != index) and all(module != index for module, _ in self._open):
            return
        module = -1
        while module != index:
            module, position = self._open.pop()
            self._running.discard(position)
            self._frames[position] = (module, self._frames[position][1], self._clock)

    def resized(self, storage: torch.UntypedStorage) -> None:
        """The size of ``storage`` was changed in place: to torch's allocator another block."""
        known = self._living.get(storage._cdata)
        if known is not None and known[1].nbytes != storage.nbytes():
            block = known[1]
            block.end = self._clock
            renewed = self._add(storage.nbytes(), block.kind, block.module, block.op)
            self._living[storage._cdata] = (known[0], renewed)

    # --- tracking ----------------------------------------------------------------------------------------------------

    def _see(self, result: Any, module: int, op: str) -> None:
        if isinstance(result, torch.Tensor):
            try:
                storage = result.untyped_storage()
            except (NotImplementedError, RuntimeError):  # a sparse tensor is several plain ones
                for part in _parts(result):
                    self._see(part, module, op)
                return
            known = self._living.get(storage._cdata)
            if known is None:
                self._track(storage, None, module, op)
            elif known[1].nbytes != storage.nbytes():
                self.resized(storage)
        elif isinstance(result, (tuple, list)):
            for item in result:
                self._see(item, module, op)

    def _note_sum(self, terms: Sequence[Any], result: Any, node: int) -> None:
        """Where two gradients of one tensor meet, torch adds the one into the other if nobody else holds it.

        While it is observed, it makes a third. A node's own sums are of what it made itself, and are new tensors.
        """
        known = self._living.get(result.untyped_storage()._cdata)
        if known is None or known[1].start != self._clock:
            return
        found = [self._living.get(term.untyped_storage()._cdata) for term in terms if isinstance(term, torch.Tensor)]
        made = [block for _, block in filter(None, found) if block.node is not None]
        if any(block.node != node for block in made):
            known[1].taken_over = tuple(block for block in made if block.nbytes == known[1].nbytes)

    def _note_node(self, node: int) -> None:
        """What the last operator made is of the node ``node`` of autograd."""
        for block in reversed(self._blocks):
            if block.start != self._clock:
                break
            block.node = node

    def _track(self, storage: torch.UntypedStorage, kind: str | None, module: int, op: str) -> None:
        key = storage._cdata
        if key in self._living:
            return
        block = self._add(storage.nbytes(), kind, module, op)
        self._living[key] = (weakref.ref(storage, lambda _: self._free(key)), block)

    def _add(self, nbytes: int, kind: str | None, module: int, op: str) -> _Live:
        frame = self._open[-1][1] if self._open else None
        block = _Live(nbytes, kind, len(self._ran), module, op, frame)
        self._blocks.append(block)
        return block

    def _free(self, key: int) -> None:
        known = self._living.pop(key, None)
        if known is not None:
            known[1].end = self._clock
            known[1].outlived = known[1].frame not in self._running

    # --- the result --------------------------------------------------------------------------------------------------

    def log(self, paths: Sequence[str], *, attention: str = "auto", measured: int | None = None) -> MemoryLog:
        """Everything seen so far; ``paths`` are the names of the modules by index."""
        now = self._clock
        blocks = tuple(
            Block(
                b.nbytes,
                b.kind,
                _begin(b),
                now + 1 if b.end is None else b.end,
                paths[b.module],
                b.op,
                b.frame,
                b.outlived if b.end is not None else b.frame not in self._running,
            )
            for b in self._blocks
            if b.nbytes
        )
        frames = tuple(Frame(paths[module], start, end) for module, start, end in self._frames)
        operators = tuple((paths[module], op) for module, op in self._ran)
        return MemoryLog(blocks, frames, tuple(self._phases), operators, attention, measured)


def _begin(block: _Live) -> int:
    """The operator from which a block counts: one later where it took over the memory of one that ended there."""
    return block.start + any(old.end == block.start + 1 for old in block.taken_over)


def _storages(tensors: Iterable[torch.Tensor]) -> Iterator[torch.UntypedStorage]:
    for tensor in tensors:
        try:
            yield tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            yield from _storages(_parts(tensor))


def _parts(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The plain tensors that a tensor without a storage consists of."""
    if tensor.layout is torch.sparse_coo:
        return tensor._indices(), tensor._values()
    flatten = getattr(tensor, "__tensor_flatten__", None)
    return tuple(getattr(tensor, name) for name in flatten()[0]) if flatten is not None else ()


@contextmanager
def watching_resizes(liveness: Liveness) -> Iterator[None]:
    """Notice ``storage.resize_(0)``, by which sharded training frees memory: no operator tells."""

    def noticing(original: Callable[..., Any]) -> Callable[..., Any]:
        def resize_(self: torch.UntypedStorage, size: int) -> Any:
            result = original(self, size)
            liveness.resized(self)
            return result

        return resize_

    with replaced(torch.UntypedStorage, "resize_", noticing):
        yield
