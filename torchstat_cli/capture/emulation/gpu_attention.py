"""The attention operators of a GPU on tensors of the CPU, so that a run for real can stand for one there.

torch has these operators for a GPU alone, and their gradients for every device. Within the context the CPU has them
too: the values come from the plain form, shapes and layouts from torch's meta kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.torch_access.internals import attention_kernel
from torchstat_cli.torch_access.patching import Switch


@contextmanager
def _registered() -> Iterator[None]:
    library = torch.library.Library("aten", "IMPL")
    try:
        for name, kernel in _KERNELS.items():
            library.impl(attention_kernel(name).default, kernel, "CPU")
        yield
    finally:
        library._destroy()


gpu_attention_on_cpu = Switch(_registered)


def _flash(
    q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0, causal: bool = False, *rest: Any, **scale: Any
) -> Any:
    results = _uninitialized("flash_attention", q, k, v, dropout, causal, *rest, **scale)
    results[0].copy_(_plain(q, k, v, None, causal, **scale))
    return results


def _efficient(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    compute_log_sumexp: bool,
    dropout: float = 0.0,
    causal: bool = False,
    **scale: Any,
) -> Any:
    results = _uninitialized("efficient_attention", q, k, v, bias, compute_log_sumexp, dropout, causal, **scale)
    results[0].copy_(_plain(q, k, v, bias, causal, **scale))
    return results


def _flash_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any, **scale: Any) -> Any:
    results = _uninitialized("flash_attention_backward", grad, q, k, v, *rest, **scale)
    causal = rest[7]
    return _filled(results, _gradients(grad, q, k, v, None, causal, **scale))


def _efficient_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Any, *rest: Any, **scale: Any) -> Any:
    results = _uninitialized("efficient_attention_backward", grad, q, k, v, bias, *rest, **scale)
    causal = rest[6] if len(rest) > 6 else False
    return _filled(results, _gradients(grad, q, k, v, bias, causal, **scale))


def _uninitialized(name: str, *args: Any, **kwargs: Any) -> Any:
    """Results of the shapes and layouts that the operator gives."""
    on_meta = [value.to("meta") if isinstance(value, Tensor) else value for value in args]
    results = attention_kernel(name)(*on_meta, **kwargs)
    return tuple(
        torch.zeros(0).new_empty_strided(part.shape, part.stride(), dtype=part.dtype).zero_()
        if isinstance(part, Tensor)
        else part
        for part in results
    )


def _filled(results: Any, values: tuple[Tensor, ...]) -> Any:
    for result, value in zip(results, values, strict=False):
        result.copy_(value)
    return results


def _plain(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float | None = None) -> Tensor:
    result: Tensor = torch.matmul(_weights(q, k, bias, causal, scale), v)
    return result


def _weights(q: Tensor, k: Tensor, bias: Tensor | None, causal: bool, scale: float | None) -> Tensor:
    """The softmax of the scores."""
    scores = torch.matmul(q, k.transpose(-2, -1)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    return torch.softmax(scores, -1)


def _gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the loss with respect to queries, keys and values, by the chain rule through the plain form."""
    weights = _weights(q, k, bias, causal, scale)
    of_weights = torch.matmul(grad, v.transpose(-2, -1))
    of_scores = weights * (of_weights - (of_weights * weights).sum(-1, keepdim=True))
    of_scores = of_scores * (q.shape[-1] ** -0.5 if scale is None else scale)
    return (
        torch.matmul(of_scores, k),
        torch.matmul(of_scores.transpose(-2, -1), q),
        torch.matmul(weights.transpose(-2, -1), grad),
    )


_KERNELS: dict[str, Callable[..., Any]] = {
    "flash_attention": _flash,
    "flash_attention_backward": _flash_backward,
    "efficient_attention": _efficient,
    "efficient_attention_backward": _efficient_backward,
}
