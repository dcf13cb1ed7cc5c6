"""Replacements of torch's functions and switches overlap in any order and thread, and the last one puts all back."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from torchstat_cli.torch_access.patching import Switch, replaced


class Owner:
    """Stands for a module of torch."""

    def ask(self) -> list[str]:
        """Docstring."""
        return ["torch"]


class Child(Owner):
    """Inherits what is replaced."""


def saying(word: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A replacement that says its word and asks what stands below."""
    return lambda below: lambda self: [word, *below(self)]


def test_inner_replacement_stands_on_the_outer_one() -> None:
    with replaced(Owner, "ask", saying("outer")), replaced(Owner, "ask", saying("inner")):
        assert Owner().ask() == ["inner", "outer", "torch"]
    assert Owner().ask() == ["torch"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_ends(order: tuple[int, ...]) -> None:
    own = vars(Owner)["ask"]
    uses = [replaced(Owner, "ask", saying(word)) for word in "abc"]
    for use in uses:
        use.__enter__()
    left = ["c", "b", "a", "torch"]
    for index in order:
        uses[index].__exit__(None, None, None)
        left.remove("abc"[index])
        assert Owner().ask() == left
    assert vars(Owner)["ask"] is own


def test_the_same_replacement_may_be_in_use_twice() -> None:
    around = saying("twice")
    with replaced(Owner, "ask", around), replaced(Owner, "ask", around):
        assert Owner().ask() == ["twice", "twice", "torch"]


def test_what_was_inherited_is_inherited_again() -> None:
    with replaced(Child, "ask", saying("child")):
        assert Child().ask() == ["child", "torch"]
        assert Owner().ask() == ["torch"]
    assert "ask" not in vars(Child)


def test_name_and_docstring_are_those_of_the_original() -> None:
    with replaced(Owner, "ask", saying("outer")):
        assert (Owner.ask.__name__, Owner.ask.__doc__) == ("ask", "Docstring.")


def test_a_function_that_changed_between_two_uses_stands_below(monkeypatch: pytest.MonkeyPatch) -> None:
    with replaced(Owner, "ask", saying("first")):
        pass
    monkeypatch.setattr(Owner, "ask", lambda self: ["changed"])
    with replaced(Owner, "ask", saying("second")):
        assert Owner().ask() == ["second", "changed"]
    assert Owner().ask() == ["changed"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_who_kept_what_stood_there_and_puts_it_back_reaches_the_original(
    wrapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that is first imported during a run patches what it finds, and does not know whose it is."""
    with replaced(Owner, "ask", saying("first")):
        kept = Owner.ask
    words = ["library", "torch"] if wrapped else ["torch"]
    monkeypatch.setattr(Owner, "ask", saying("library")(kept) if wrapped else kept)
    with replaced(Owner, "ask", saying("second")):
        assert Owner().ask() == ["second", *words]
    assert Owner().ask() == words


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_other_threads_call_the_original() -> None:
    with replaced(Owner, "ask", saying("mine")):
        assert in_thread(lambda: Owner().ask()) == ["torch"]


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_threads_that_overlap_leave_the_original(first_ends_first: bool) -> None:
    own = vars(nn.Module)["register_parameter"]
    entered, may_leave = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]
    seen: dict[int, Any] = {}

    def around(number: int) -> Any:
        def make(below: Any) -> Any:
            def register(self: nn.Module, name: str, parameter: Any) -> None:
                seen.setdefault(number, name)
                below(self, name, parameter)

            return register

        return make

    def work(number: int) -> None:
        with replaced(nn.Module, "register_parameter", around(number)):
            entered[number].set()
            may_leave[number].wait(10)
            nn.Linear(1, 1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for number, thread in enumerate(threads):
        thread.start()
        entered[number].wait(10)
    for number in (0, 1) if first_ends_first else (1, 0):
        may_leave[number].set()
        threads[number].join(10)
    assert vars(nn.Module)["register_parameter"] is own
    assert seen == {0: "weight", 1: "weight"}


def test_raising_block_puts_back_too() -> None:
    own = torch.tensor
    with pytest.raises(KeyError), replaced(torch, "tensor", lambda below: below):
        raise KeyError
    assert torch.tensor is own


@contextmanager
def flag(state: dict[str, bool]) -> Iterator[None]:
    before, state["on"] = state["on"], True
    try:
        yield
    finally:
        state["on"] = before


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_switch_is_put_back_by_its_last_user(order: tuple[int, ...], before: bool) -> None:
    state = {"on": before}
    switch = Switch(lambda: flag(state))
    uses: list[AbstractContextManager[None]] = [switch() for _ in range(3)]
    for use in uses:
        use.__enter__()
    for index in order[:-1]:
        uses[index].__exit__(None, None, None)
        assert state["on"]
    uses[order[-1]].__exit__(None, None, None)
    assert state["on"] is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_process_has_none_of_what_other_threads_borrowed() -> None:
    state, entered, leave = {"on": False}, threading.Event(), threading.Event()
    switch = Switch(lambda: flag(state))

    def work() -> None:
        with ExitStack() as stack:
            stack.enter_context(switch())
            stack.enter_context(replaced(Owner, "ask", saying("other")))
            entered.set()
            leave.wait(10)

    own = vars(Owner)["ask"]
    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(10)
    child = os.fork()
    if child == 0:
        clean = vars(Owner)["ask"] is own and not state["on"]
        with replaced(Owner, "ask", saying("child")):
            clean = clean and Owner().ask() == ["child", "torch"]
        os._exit(0 if clean else 1)
    _, status = os.waitpid(child, 0)
    leave.set()
    thread.join(10)
    assert os.waitstatus_to_exitcode(status) == 0
    assert vars(Owner)["ask"] is own
