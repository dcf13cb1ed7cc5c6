"""Sessions side by side, inside one another, again and in threads; each sees its own work and no other's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, Custom, linear
from torchstat_cli.capture.session import Session
from torchstat_cli.errors import ForwardError, UsageError


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run ``work(0) … work(count - 1)`` at once; an exception in any of them is raised here."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_profile_inside_an_observed_loop_is_not_part_of_it() -> None:
    model = nn.Sequential(linear(), nn.ReLU())
    with ms.instrument(model) as capture:
        model(ROWS)
        inside = ms.profile(model, ROWS)
        model(ROWS)
    assert (inside.total.madds, inside.total.buffers) == (LINEAR, 0)
    assert capture.profile().total.madds == 2 * LINEAR


def test_profile_of_the_same_model_on_the_cpu_inside_an_observed_loop() -> None:
    model = nn.Sequential(linear())
    with ms.instrument(model) as capture:
        assert ms.profile(model, ROWS, device="cpu").total.madds == LINEAR
    assert capture.profile().total.madds == 0


def test_captures_inside_one_another() -> None:
    model = nn.Sequential(linear(), nn.ReLU())
    with ms.instrument(model) as outer:
        model(ROWS)
        with ms.instrument(model) as inner:
            model(ROWS)
    assert (outer.profile().total.madds, inner.profile().total.madds) == (2 * LINEAR, LINEAR)
    assert (outer.profile().total.buffers, inner.profile().total.buffers) == (0, 0)
    assert list(model.named_buffers()) == []


def test_capture_of_a_part_inside_a_capture_of_the_whole() -> None:
    model = nn.Sequential(linear(), linear())
    with ms.instrument(model) as whole, ms.instrument(model[0]) as part:
        model[0](ROWS)
    assert part.profile().total.madds == LINEAR
    assert whole.profile().at("0").madds == LINEAR


_SEEN: list[int] = []  # a global: what the forward function closes over comes back as it was


def test_profile_called_in_a_forward_pass_that_is_profiled() -> None:
    other = nn.Sequential(linear())
    seen = _SEEN

    def forward(self: Custom, x: torch.Tensor) -> torch.Tensor:
        _SEEN.append(ms.profile(other, ROWS).total.madds)
        return self.inner(x)

    assert ms.profile(Custom(forward, inner=linear()), ROWS).total.madds == LINEAR
    assert seen == [LINEAR]


def test_capture_entered_again_goes_on() -> None:
    model = nn.Sequential(linear())
    capture = ms.instrument(model)
    for expected in (1, 2):
        with capture:
            model(ROWS)
        model(ROWS)  # not observed
        assert (capture.profile().total.madds, capture.profile().at("0").calls) == (expected * LINEAR, expected)


def test_capture_that_is_already_open_is_refused() -> None:
    capture = ms.instrument(linear())
    with capture, pytest.raises(UsageError, match="already open"), capture:
        pass


def test_capture_that_never_ran_has_nothing_to_tell() -> None:
    with pytest.raises(UsageError, match=r"(?s)nothing was observed yet.*with ms\.instrument"):
        ms.instrument(linear()).profile()


def test_capture_can_be_read_while_it_is_open() -> None:
    model = linear()
    with ms.instrument(model) as capture:
        model(ROWS)
        assert capture.profile().total.madds == LINEAR
        model(ROWS)
    assert capture.profile().total.madds == 2 * LINEAR


def test_exception_in_an_observed_loop_comes_out_as_it_is() -> None:
    model = nn.Sequential(linear())
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), ms.instrument(model) as capture:
        model(torch.zeros(2, 5))
    assert list(model.named_buffers()) == []
    assert capture.profile().total.madds == 0


def test_threads_with_models_of_their_own() -> None:
    results: dict[int, list[int]] = {}

    def work(number: int) -> None:
        model = nn.Sequential(nn.Linear(4, 4 * (number + 1)), nn.ReLU())
        results[number] = [ms.profile(model, ROWS).total.madds for _ in range(4)]

    in_threads(4, work)
    assert results == {number: [LINEAR * (number + 1)] * 4 for number in range(4)}


def test_threads_with_one_model() -> None:
    model, results = nn.Sequential(linear(), nn.ReLU()), []
    weight = model[0].weight
    in_threads(3, lambda _: results.extend(ms.profile(model, ROWS).total.madds for _ in range(4)))
    assert results == [LINEAR] * 12
    assert model[0].weight is weight
    assert list(model.named_buffers()) == []


def test_profile_in_a_thread_does_not_disturb_an_open_capture() -> None:
    model = nn.Sequential(linear())
    with ms.instrument(model) as capture:
        in_threads(1, lambda _: ms.profile(nn.Sequential(linear()), ROWS))
        model(ROWS)
    assert capture.profile().total.madds == LINEAR


def test_calls_from_other_threads_are_named_as_missing() -> None:
    model = nn.Sequential(linear())
    with ms.instrument(model) as capture:
        in_threads(1, lambda _: model(ROWS))
        model(ROWS)
    report = capture.profile()
    assert report.total.madds == LINEAR
    assert report.provenance.assumptions == (
        "2 module calls in other threads are not counted, operators are not seen there",
    )


def test_session_that_cannot_open_leaves_nothing() -> None:
    """Attaching fails half way: what was attached is taken off again."""
    model = nn.Sequential(linear(), linear())

    class Closed(dict[str, Any]):
        def __setitem__(self, name: str, value: Any) -> None:
            raise TypeError("no buffers here")

    vars(model[1])["_buffers"] = Closed()
    session = Session(model, lambda *_: True)
    with pytest.raises(TypeError, match="no buffers here"), session:
        pass
    assert list(model.named_buffers()) == []
    assert all(not module._forward_hooks for module in model.modules())
    assert torch._C._len_torch_dispatch_stack() == 0
    vars(model[1])["_buffers"] = {}
    with torch.inference_mode(), session:
        model(ROWS)
    assert sum(event.calls for event in session.recording().events) == 2


def test_a_failure_shows_the_layers_that_ran_before() -> None:
    layers = [nn.Linear(8, 8) for _ in range(6)]
    model = nn.Sequential(*layers, nn.Linear(9, 4))
    with pytest.raises(ForwardError) as caught:
        ms.profile(model, torch.ones(3, 8))
    assert caught.value.path == "6"
    *lines, last = caught.value.context.removeprefix("ran before: ").split(", 3x8 to 3x8)")  # type: ignore[union-attr]
    assert lines == ["2 others, 2 (Linear", ", 3 (Linear", ", 4 (Linear", ", 5 (Linear"]
    assert last == ""
    assert caught.value.context in str(caught.value)


def test_a_failure_of_the_first_layer_has_nothing_before_it() -> None:
    with pytest.raises(ForwardError) as caught:
        ms.profile(nn.Sequential(nn.Linear(9, 8), nn.Linear(8, 8)), torch.ones(3, 8))
    assert caught.value.context is None
