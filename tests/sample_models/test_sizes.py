"""Bad sizes are refused by name, in every factory, before anything is built."""

import inspect

import pytest

from sample_models.sizes import head_width, require_sizes
from tests.sample_models.building import RUNNABLE, find_factory

CASES = [
    (name, argument)
    for name in RUNNABLE
    if name != "returns_no_tensor"
    for argument in inspect.signature(find_factory(name)).parameters
]


@pytest.mark.parametrize(("name", "argument"), CASES)
@pytest.mark.parametrize("size", [0, -1, 2.5, "wide"])
def test_every_argument_of_every_factory_is_checked(name, argument, size):
    with pytest.raises(ValueError, match=f"{argument} must be a positive integer, got {size!r}"):
        find_factory(name)(**{argument: size})


def test_good_sizes_pass():
    require_sizes(width=1, depth=10**9)
    assert head_width(12, 3) == 4


@pytest.mark.parametrize("name", ["decoder_lm", "functional_only", "transformer_encoder", "vit", "vit_tiny"])
def test_heads_must_divide_the_width(name):
    with pytest.raises(ValueError, match="width 64 cannot be split into 5 attention heads"):
        find_factory(name)(width=64, heads=5)
