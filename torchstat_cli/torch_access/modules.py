"""The modules of a model and their tensors, each once: by identity and without recursion.

torch runs modules that contain themselves, that lie thousands deep, and that refuse to be hashed or changed; its own
``modules()``, ``parameters()`` and ``train()`` fail on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

_T = TypeVar("_T", bound=Tensor)


def named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module with the path under which it is first registered, parents before children; "" is the root.

    Names and order are those of torch's ``named_modules``, which takes three times as long.
    """
    seen: set[int] = set()
    pending = [("", model)]
    while pending:
        path, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        if module._modules:
            prefix = f"{path}." if path else ""
            children = [(prefix + name, child) for name, child in module._modules.items() if child is not None]
            pending.extend(reversed(children))


def every_path(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every path of every module; a shared module has several. A module inside itself is not entered again."""
    around: set[int] = set()  # the modules that the current one lies in
    pending: list[tuple[str, nn.Module | None, int]] = [("", model, 0)]
    while pending:
        path, module, left = pending.pop()
        if module is None:
            around.discard(left)
            continue
        if id(module) in around:
            continue
        yield path, module
        if module._modules:
            prefix = f"{path}." if path else ""
            around.add(id(module))
            pending.append(("", None, id(module)))
            children = [(prefix + name, child, 0) for name, child in module._modules.items() if child is not None]
            pending.extend(reversed(children))


def modules_of(model: nn.Module) -> list[nn.Module]:
    """``model`` and every module in it, in the order of :func:`named_modules`."""
    return list(_modules(model))


def parts(model: nn.Module) -> Iterator[nn.Module]:
    """The same one by one; the insides of TorchScript are left out."""
    return _modules(model, inside_scripts=False)


def _modules(model: nn.Module, *, inside_scripts: bool = True) -> Iterator[nn.Module]:
    seen: set[int] = set()
    pending = [model]
    while pending:
        module = pending.pop()
        if id(module) not in seen:
            seen.add(id(module))
            yield module
            if module._modules and (inside_scripts or not isinstance(module, torch.jit.ScriptModule)):
                pending.extend([child for child in reversed(module._modules.values()) if child is not None])


def parameters_of(model: nn.Module) -> Iterator[nn.Parameter]:
    """Every parameter, once."""
    return _once(tensor for module in _modules(model) for tensor in module._parameters.values() if tensor is not None)


def buffers_of(model: nn.Module) -> Iterator[Tensor]:
    """Every buffer, once."""
    return _once(tensor for module in _modules(model) for tensor in module._buffers.values() if tensor is not None)


def _once(tensors: Iterable[_T]) -> Iterator[_T]:
    seen: set[int] = set()
    for tensor in tensors:
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor


def set_training(model: nn.Module, training: bool) -> None:
    """Switch ``model`` to train or eval mode, as its own ``train`` does it, which may keep frozen parts in eval mode.

    Where that fails every module gets the mode; one that was exported keeps that in which it was exported.
    """
    try:
        model.train(training)
    except NotImplementedError:
        return
    except Exception:  # it calls itself without end, a module refuses to be changed: foreign code
        for module in _modules(model):
            set_mode(module, training)


def set_mode(module: nn.Module, training: bool) -> None:
    """Set the flag of this module alone, whatever it says of being changed."""
    if isinstance(module, torch.jit.ScriptModule):
        module.training = training  # a property, which keeps the flag in C++
    elif module.training != training:
        vars(module)["training"] = training
