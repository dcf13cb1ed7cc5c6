"""What torch counts itself of a model: its parameters, and its MAdds wherever its own counter can run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map_only

from tests.coverage.references import built, counted_madds
from torchstat_cli.loading import Inputs, ModelSource

REAL_BYTES = 2**30
"""Most bytes of a model that is run for real."""


SEED = 0
"""Of random weights: some models of speech make as many frames as their weights say."""


@dataclass(frozen=True)
class Counted:
    """A count, and where it was made."""

    madds: int
    place: str


def count_parameters(source: ModelSource) -> int:
    """Elements of the distinct parameters.

    Raises:
        ModelstatError: the library refuses to build the model, or its usual inputs are unknown.
    """
    return sum(parameter.numel() for parameter in built(source, "meta")[0].parameters())


def counts(source: ModelSource) -> Iterator[Counted]:
    """MAdds as FlopCounterMode counts them, in one place after another where the model runs.

    Each stands for itself; the later ones are slower, and are for models that the first cannot run: fake tensors skip
    transformers' questions for values, and only bfloat16 has grouped products without memory.

    Raises:
        Exception: the model runs nowhere; what it raised on meta.
    """
    failure: Exception | None = None
    found = False
    for place, counter in _PLACES.items():
        if place == "cpu" and failure is not None and not any(sign in str(failure) for sign in _SIGNS_OF_META):
            break
        try:
            torch.manual_seed(SEED)
            madds = counter(source)
        except TimeoutError:
            raise
        except Exception as error:  # a model may raise anything
            failure = failure or error
            continue
        found = True
        yield Counted(madds, place)
    if not found and failure is not None:
        raise failure


def _on_meta(source: ModelSource) -> int:
    return counted_madds(*built(source, "meta"))


def _faked(source: ModelSource) -> int:
    model, inputs = built(source, "meta")
    with FakeTensorMode(allow_non_fake_inputs=True):
        return counted_madds(model, inputs)


def _faked_in_bfloat16(source: ModelSource) -> int:
    model, inputs = built(source, "meta")
    args, kwargs = tree_map_only(torch.Tensor, _in_bfloat16, (inputs.args, inputs.kwargs))
    with FakeTensorMode(allow_non_fake_inputs=True):
        return counted_madds(model.to(torch.bfloat16), Inputs(args, kwargs))


def _in_bfloat16(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor


def _for_real(source: ModelSource) -> int:
    return counted_madds(*built(source, "cpu", REAL_BYTES))


_SIGNS_OF_META = ("meta", "data-dependent", "device", "bf16", "BFloat16", "bfloat16")
"""In what torch says where a run for real may help."""

_PLACES: dict[str, Callable[[ModelSource], int]] = {
    "meta": _on_meta,
    "fake": _faked,
    "fake, bfloat16": _faked_in_bfloat16,
    "cpu": _for_real,
}
