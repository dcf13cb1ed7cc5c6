"""Put on a model what observes its run: hooks on modules and, where operators are asked for, a mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from torchstat_cli.activations.attention.finder import AttentionFinder
from torchstat_cli.activations.runtime.function_mode import OperatorMode, listening
from torchstat_cli.activations.runtime.listener import RunListener, Taker
from torchstat_cli.activations.runtime.module_hooks import ModuleHooks
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.torch_access.eager import eagerly, room_for_hooks


@contextmanager
def attached(
    model: nn.Module,
    table: ModuleTable,
    taker: Taker,
    paths: Iterable[str],
    leaves: TracerOptions,
    *,
    operators: bool,
    finder: AttentionFinder | None = None,
) -> Iterator[ModuleHooks]:
    """Hand what runs inside the block, in the context that opened it, to ``taker``; nothing stays on ``model``.

    Args:
        model: the model of ``table``, with its wrappers.
        table: its modules.
        taker: receives named values.
        paths: the modules to hook; all of them where ``operators`` is true.
        leaves: which modules are one node.
        operators: also hear operators, in the thread that opened the block.
        finder: also hears modules and operators, and finds attention among them.

    Raises:
        ModelError: a path leads to a TorchScript module.
    """
    listener = RunListener(taker, table, leaves)
    hooks = ModuleHooks(table)
    with ExitStack() as stack:
        stack.enter_context(room_for_hooks())
        stack.enter_context(eagerly(model, compiled=table.compiled))
        stack.enter_context(hooks.attached(paths, listener, failures=operators))
        if operators:
            mode = OperatorMode(listener.operator)
            stack.enter_context(listener.following(hooks, mode, finder))
            stack.enter_context(listening(mode))
        yield hooks
