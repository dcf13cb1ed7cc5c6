"""The decorator that attaches example inputs."""

import pytest
from torch import nn

from sample_models.examples import example_inputs


def _make():
    return (1,)


def test_specs_become_a_list():
    @example_inputs("1,3", "ids=1,4:int64<9")
    def factory():
        return nn.Identity()

    assert factory.example_inputs == ["1,3", "ids=1,4:int64<9"]
    assert isinstance(factory(), nn.Identity)


def test_a_callable_stays_itself():
    @example_inputs(_make)
    def factory():
        return nn.Identity()

    assert factory.example_inputs is _make


@pytest.mark.parametrize("inputs", [(), (_make, _make), ("1,3", _make)])
def test_anything_else_is_refused(inputs):
    with pytest.raises(ValueError, match="input specs or one callable"):
        example_inputs(*inputs)
