"""Captures that are closed in any order, or not in the thread that opened them, count right or say that they do not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.errors import UsageError

ROWS = torch.ones(2, 4)
MODEL = 2 * 4 * 4  # MAdds of one call
OTHER = 2 * 4 * 8


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU())


def in_thread(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or raises, in a thread of its own."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome[0]


def hooks_on(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = torch._C._len_torch_dispatch_stack(), torch.backends.mha.get_fastpath_enabled()
    flags = torch.utils._python_dispatch.is_in_torch_dispatch_mode(include_infra_modes=True)
    with torch.no_grad():
        yield
    assert (torch._C._len_torch_dispatch_stack(), torch.backends.mha.get_fastpath_enabled()) == before
    assert torch.utils._python_dispatch.is_in_torch_dispatch_mode(include_infra_modes=True) == flags


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1)])
def test_closed_in_any_order(order: tuple[int, ...]) -> None:
    models = [model(), nn.Linear(4, 8), model()]
    captures = [ms.instrument(part) for part in models]
    for capture in captures:
        capture.__enter__()
    expected = [0, 0, 0]
    for closed in order:
        models[0](ROWS)
        models[1](ROWS)
        for number in order[order.index(closed) :]:
            expected[number] += MODEL + OTHER  # work outside a capture's own model is its root's
        captures[closed].__exit__(None, None, None)
    models[0](ROWS)
    assert [capture.profile().total.madds for capture in captures] == expected
    assert [hooks_on(part) for part in models] == [0, 0, 0]


def test_suspended_generators() -> None:
    shared = model()

    def watching() -> Iterator[ms.api.Capture]:
        with ms.instrument(shared) as capture:
            shared(ROWS)
            yield capture
            shared(ROWS)

    first, second = watching(), watching()
    captures = [next(first), next(second)]
    assert [next(first, None), next(second, None)] == [None, None]
    assert [capture.profile().total.madds for capture in captures] == [3 * MODEL, 3 * MODEL]


def test_modes_of_others_stay_open() -> None:
    class Counting(torch.utils._python_dispatch.TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.seen += 1
            return func(*args, **(kwargs or {}))

    watched, counting = model(), Counting()
    capture = ms.instrument(watched)
    capture.__enter__()
    with counting:
        watched(ROWS)
        capture.__exit__(None, None, None)
        seen = counting.seen
        watched(ROWS)
        assert counting.seen == 2 * seen
    assert capture.profile().total.madds == MODEL


def test_closed_in_another_thread() -> None:
    watched = model()
    capture = ms.instrument(watched)
    capture.__enter__()
    watched(ROWS)
    refusal = in_thread(lambda: capture.__exit__(None, None, None))
    assert isinstance(refusal, UsageError)
    assert "opened in another thread" in str(refusal)
    watched(ROWS)
    capture.__exit__(None, None, None)
    assert capture.profile().total.madds == 2 * MODEL
    assert hooks_on(watched) == 0


def test_closed_when_its_thread_has_ended() -> None:
    watched = model()
    capture = ms.instrument(watched)

    def work() -> None:
        capture.__enter__()
        with torch.no_grad():
            watched(ROWS)

    in_thread(work)
    watched(ROWS)
    capture.__exit__(None, None, None)
    assert capture.profile().total.madds == MODEL
    assert hooks_on(watched) == 0


def test_run_in_another_thread_alone() -> None:
    watched = model()
    with ms.instrument(watched) as capture:
        in_thread(lambda: watched(ROWS))
    with pytest.raises(UsageError, match="ran in other threads"):
        capture.profile()


def test_two_threads_each_count_their_own_calls() -> None:
    shared = model()
    both, done = threading.Barrier(2), threading.Barrier(2)

    def watching(calls: int) -> int:
        with ms.instrument(shared) as capture, torch.no_grad():
            both.wait()
            for _ in range(calls):
                shared(ROWS)
            done.wait()
        return capture.profile().rows[1].calls

    results: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: watching(n)})) for n in (20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {20: 20, 30: 30}
