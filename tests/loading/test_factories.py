"""Arguments are checked before a factory is called, its result after."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from torchstat_cli.errors import BuildError, SpecError
from torchstat_cli.loading.factories import build_module, check_arguments, check_module, location


def net(width: int, /, depth: int, *, bias: bool = True) -> nn.Module:
    return nn.Linear(width, depth, bias=bias)


def test_required_arguments_are_named() -> None:
    with pytest.raises(SpecError, match="net needs arguments: width, depth"):
        check_arguments("net", net, {})
    with pytest.raises(SpecError, match="net needs an argument: depth"):
        check_arguments("net", functools.partial(net, 3), {"bias": False})
    check_arguments("net", functools.partial(net, 3), {"depth": 2})


def test_keyword_collectors_take_anything() -> None:
    check_arguments("dict", lambda **kwargs: kwargs, {"anything": 1})


def test_built_ins_without_a_signature_are_left_to_themselves() -> None:
    check_arguments("max", max, {"key": None})


def test_an_unexpected_keyword_points_at_the_arguments() -> None:
    def collects(**kwargs: object) -> nn.Module:
        return nn.Linear(2, 2, **kwargs)  # type: ignore[arg-type]

    with pytest.raises(BuildError, match="unexpected keyword argument 'widht'") as caught:
        build_module("net", functools.partial(collects, widht=3))
    assert caught.value.hint == "check the names of the --arg values"
    assert isinstance(caught.value.__cause__, TypeError)


def test_the_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    build_module("net", lambda: nn.Linear(4, 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_interrupts_pass() -> None:
    def interrupted() -> nn.Module:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_module("net", interrupted)


@pytest.mark.parametrize(
    ("result", "message", "hint"),
    [
        (torch.ones(2), "net returned a Tensor", "returns an nn.Module"),
        (nn.Linear, "net returned a type", "returns an nn.Module"),
        ({"weight": 1}, "net returned a dict", "weights only"),
    ],
)
def test_results_that_are_no_modules(result: object, message: str, hint: str) -> None:
    with pytest.raises(BuildError, match=message) as caught:
        check_module("net", result)
    assert hint in (caught.value.hint or "")


def test_where_things_are_defined() -> None:
    line = net.__code__.co_firstlineno
    assert (location(net) or "").endswith(f"test_factories.py:{line}")
    assert (location(functools.wraps(net)(lambda: None)) or "").endswith(f"test_factories.py:{line}")
    assert "linear.py:" in (location(nn.Linear) or "")
    assert "linear.py:" in (location(nn.Linear(1, 1)) or "")
    assert location(max) is None
