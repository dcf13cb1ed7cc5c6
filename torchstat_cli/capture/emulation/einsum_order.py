"""Notice where opt_einsum, once it is installed, chooses the order of an einsum's pairs, and with it what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from torchstat_cli.torch_access.patching import replaced


class ChosenOrders:
    """Counts them within :meth:`watched`."""

    def __init__(self) -> None:
        self.calls = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count the orders that opt_einsum chooses in this thread; nothing without it."""
        library: Any = torch.backends.opt_einsum.get_opt_einsum()
        if library is None:
            yield
            return
        with replaced(library, "contract_path", self._counting):
            yield

    def _counting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def contract_path(*args: Any, **options: Any) -> Any:
            self.calls += 1
            return original(*args, **options)

        return contract_path

    def notices(self) -> tuple[str, ...]:
        """A sentence where it chose any."""
        if not self.calls:
            return ()
        what = "an einsum" if self.calls == 1 else f"{self.calls} einsum calls"
        return (f"opt_einsum chose the order of {what}; without it, or with another version, the numbers may differ",)
