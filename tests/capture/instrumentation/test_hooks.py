"""The capture hooks: who runs, on what, and what was running when something failed."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from tests.capture.modules import ROWS, Custom, linear
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.instrumentation.hooks import CaptureHooks
from torchstat_cli.capture.instrumentation.leaves import find_sites
from torchstat_cli.capture.tape import OperatorTape


class Attached:
    """Hooks on a model for the length of a ``with`` block, under a tape as always."""

    def __init__(self, model: nn.Module) -> None:
        self.hooks = CaptureHooks(find_sites(model))
        self.hooks.mode = self.tape = OperatorTape(self.hooks.running, lambda *_: True, Memo())

    def __enter__(self) -> CaptureHooks:
        self.hooks.attach()
        self.tape.__enter__()
        return self.hooks

    def __exit__(self, *error: object) -> None:
        self.tape.__exit__(*error)
        self.hooks.detach()


def test_rows_say_how_often_in_which_order_and_on_what() -> None:
    model = nn.Sequential(linear(), nn.ReLU(), nn.Linear(4, 3))
    with Attached(model) as hooks:
        model(ROWS)
        model(ROWS[:1])
    assert [(row.calls, row.read().order) for row in hooks.rows] == [(2, 1), (2, 2), (2, 3), (2, 4)]
    assert [row.read().input_shape for row in hooks.rows] == [((2, 4),)] * 4  # of the first call
    assert [row.read().output_shape for row in hooks.rows] == [((2, 3),), ((2, 4),), ((2, 4),), ((2, 3),)]


def test_only_leaves_carry_buffers() -> None:
    model = nn.Sequential(nn.Sequential(linear()), nn.ReLU())
    with Attached(model):
        assert sorted(name.rpartition(".")[0] for name, _ in model.named_buffers()) == ["0.0", "1"]
    assert list(model.named_buffers()) == []
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())


def test_running_modules_are_a_stack() -> None:
    seen: list[list[int]] = []
    model = nn.Sequential(nn.Sequential(Custom(lambda self, x: x)))
    hooks = CaptureHooks(find_sites(model))
    model[0][0].function = lambda self, x: seen.append(list(hooks.running)) or x
    with OperatorTape(hooks.running, lambda *_: True, Memo()) as hooks.mode:
        hooks.attach()
        model(ROWS)
    assert seen == [[0, 0, 1, 2]]
    assert hooks.running == [0]
    hooks.detach()


def test_failure_names_the_innermost_module_and_unwinds() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(5, 5)), nn.ReLU())
    with Attached(model) as hooks:
        with pytest.raises(RuntimeError) as caught:
            model(ROWS)
        assert hooks.running == [0]
        assert hooks.failure is not None
        assert (hooks.failure.path, hooks.failure.input_shape) == ("0.0", ((2, 4),))
        assert hooks.failure.error is caught.value


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_every_exception_unwinds(error: BaseException) -> None:
    def forward(self: Custom, x: torch.Tensor) -> torch.Tensor:
        raise error

    model = nn.Sequential(Custom(forward))
    attached = Attached(model)
    with pytest.raises(type(error)), attached:
        model(ROWS)
    assert attached.hooks.running == [0]
    assert not model[0]._forward_hooks


def test_skipped_leave_hooks_are_made_up_for() -> None:
    """A hook that raises before ours leaves its module on the stack; its parent's hook takes it off."""
    model = nn.Sequential(nn.Sequential(linear()), nn.ReLU())
    with Attached(model) as hooks:
        model[0][0].register_forward_pre_hook(lambda *_: 1 / 0, prepend=True)
        with pytest.raises(ZeroDivisionError):
            model(ROWS)
        assert hooks.running == [0]


def test_attached_again_the_rows_go_on_counting() -> None:
    model = nn.Sequential(linear())
    attached = Attached(model)
    for _ in range(2):
        with attached:
            model(ROWS)
        model(ROWS)  # not observed
    assert [row.calls for row in attached.hooks.rows] == [2, 2]
    assert list(model.named_buffers()) == []


def test_copies_made_meanwhile_leave_the_hooks_behind() -> None:
    model = nn.Sequential(linear())
    with Attached(model) as hooks:
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        for copied in copies:
            copied(ROWS)
        assert [row.calls for row in hooks.rows] == [0, 0]
    assert torch.equal(copies[0](ROWS), model(ROWS))


def test_listeners_hear_of_every_begin_and_end() -> None:
    heard: list[tuple[str, int]] = []

    class Listener:
        def entered(self, index: int) -> None:
            heard.append(("entered", index))

        def left(self, index: int) -> None:
            heard.append(("left", index))

    model = nn.Sequential(nn.ReLU())
    with Attached(model) as hooks:
        hooks.listeners.append(Listener())
        model(ROWS)
    assert heard == [("entered", 0), ("entered", 1), ("left", 1), ("left", 0)]


def test_torchscript_modules_take_no_hooks() -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(linear())
    model = nn.Sequential(scripted)
    with Attached(model) as hooks:
        model(ROWS)
    assert [row.calls for row in hooks.rows] == [1, 0]
