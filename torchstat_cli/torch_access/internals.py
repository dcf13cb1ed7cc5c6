"""Everything private of torch that modelstat needs, resolved once: each with what it is for.

A torch that lacks a name says so in one sentence. What every run needs is missed at once, when this module is imported;
what one feature needs, when that feature first asks for it.
"""

from __future__ import annotations

import importlib
from typing import Any, NoReturn

import torch

from torchstat_cli.errors import UnsupportedTorchError
from torchstat_cli.torch_version import OLDEST, TESTED


def lacking(name: str, purpose: str) -> UnsupportedTorchError:
    """The error for a torch without ``name``, which modelstat needs for ``purpose``."""
    version = torch.__version__.partition("+")[0]
    return UnsupportedTorchError(
        f"torch {version} lacks {name}, which modelstat needs for {purpose}",
        f"use torch >= {OLDEST}; modelstat is tested with torch {TESTED}",
    )


class _Missing:
    """Stands where torch has nothing: every use raises."""

    def __init__(self, name: str, purpose: str) -> None:
        self.__dict__["_error"] = lacking(name, purpose)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise self.__dict__["_error"]

    __call__ = __getattr__ = __instancecheck__ = _refuse


def _find(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError:
        return getattr(_find(module), attribute)  # a class or a module of C++


def _need(name: str, purpose: str) -> Any:
    """What every run needs.

    Raises:
        UnsupportedTorchError: torch has no such thing.
    """
    try:
        return _find(name)
    except (AttributeError, ImportError, ValueError) as error:
        raise lacking(name, purpose) from error


def _want(name: str, purpose: str) -> Any:
    """What one feature needs; where torch has no such thing, what raises as soon as it is used."""
    try:
        return _find(name)
    except (AttributeError, ImportError, ValueError):
        return _Missing(name, purpose)


for _class in ("_ops.HigherOrderOperator", "_ops.OpOverload", "_ops.OpOverloadPacket"):
    _need(f"torch.{_class}", "watching operators")
_need("torch.utils._python_dispatch.TorchDispatchMode", "watching operators")

# As classes, so that they serve as annotations and bases too.
from torch._ops import HigherOrderOperator as HigherOrderOperator  # noqa: E402
from torch._ops import OpOverload as OpOverload  # noqa: E402
from torch._ops import OpOverloadPacket as OpOverloadPacket  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode  # noqa: E402

# Operators: every run.
open_dispatch_modes = _need("torch._C._len_torch_dispatch_stack", "noticing modes that a module opens")
dispatch_mode_at = _need("torch._C._get_dispatch_stack_at", "telling whether a run is observed in this thread")
push_dispatch_mode = _need("torch.utils._python_dispatch._push_mode", "ending observations in any order")
pop_dispatch_mode = _need("torch.utils._python_dispatch._pop_mode", "ending observations in any order")
current_dispatch_mode = _need(
    "torch.utils._python_dispatch._get_current_dispatch_mode", "running control flow by parts"
)
without_dispatch_modes = _need("torch.utils._python_dispatch._disable_current_modes", "working unobserved")
no_torch_dispatch = _need("torch._C._disabled_torch_dispatch_impl", "telling tensor subclasses from plain tensors")
dispatch_keys = _need("torch._C._dispatch_keys", "telling calls of operators apart")
has_kernel = _need("torch._C._dispatch_has_kernel_for_dispatch_key", "telling composite operators from kernels")
backward_pass = _need("torch._C._current_graph_task_id", "telling a forward pass from what a backward pass repeats")
running_transforms = _need("torch._C._functorch.peek_interpreter_stack", "noticing torch.func transforms")
DispatchKey = _need("torch._C.DispatchKey", "running control flow by parts")

device_file = _need("torch.utils._device.__file__", "holding interrupts back where modes are taken off for a moment")
dispatch_file = _need(
    "torch.utils._python_dispatch.__file__", "holding interrupts back where modes are taken off for a moment"
)

# Training.
sequence_number = _want("torch.autograd._get_sequence_nr", "attributing backward work to modules")
current_autograd_node = _want("torch._C._current_autograd_node", "attributing backward work to modules")
recurrent_functions = _want("torch._VF", "recurrent layers as the CPU trains them")

# Transforms of functions.
is_transformed = _want("torch._C._functorch.is_functorch_wrapped_tensor", "keeping values under torch.func transforms")
transform_level = _want("torch._C._functorch.maybe_current_level", "keeping values under torch.func transforms")
level_of = _want("torch._C._functorch.maybe_get_level", "keeping values under torch.func transforms")
mapped_axis_of = _want("torch._C._functorch.maybe_get_bdim", "keeping values under torch.func.vmap")
unwrapped = _want("torch._C._functorch.get_unwrapped", "keeping values under torch.func transforms")
pop_transform = _want("torch._C._functorch.pop_dynamic_layer_stack", "keeping values under torch.func transforms")
push_transform = _want("torch._C._functorch.push_dynamic_layer_stack", "keeping values under torch.func transforms")

# Attention.
fused_attention_choice = _want("torch._fused_sdp_choice", "asking which attention kernel torch would choose")

# Memory.
backends = _want("torch.utils.backend_registration", "asking whether torch takes a fused fast path")

# Extraction.
push_function_mode = _want("torch.overrides._push_mode", "observing operators of a live run")
pop_function_mode = _want("torch.overrides._pop_mode", "observing operators of a live run")
function_modes = _want("torch.overrides._get_current_function_mode_stack", "observing operators of a live run")
any_module_hook = _want("torch.nn.modules.module._has_any_global_hook", "telling whether a graph is the model")
code_of_calls = _want("torch.nn.Module._call_impl.__code__", "telling whether a module is running already")
DropoutBase = _want("torch.nn.modules.dropout._DropoutNd", "telling layers that hand their input on")


def attention_kernel(name: str) -> Any:
    """The operator ``aten._scaled_dot_product_NAME``.

    Raises:
        UnsupportedTorchError: torch has no such operator.
    """
    operator = getattr(torch.ops.aten, f"_scaled_dot_product_{name}", None)
    if operator is None:
        raise lacking(f"torch.ops.aten._scaled_dot_product_{name}", "simulating attention kernels")
    return operator


ATTRIBUTES = {
    "_apply": "nn.Module: move every tensor of a module",
    "_buffers": "nn.Module: registered buffers",
    "_cdata": "torch.UntypedStorage: the identity of a storage",
    "_compiled_call_impl": "nn.Module: set where Module.compile was called",
    "_destroy": "torch.library.Library: take registered kernels back",
    "_forward_hooks": "nn.Module: hooks by id",
    "_forward_hooks_always_called": "nn.Module: hooks that also run after an exception",
    "_forward_hooks_with_kwargs": "nn.Module: hooks that get keyword arguments",
    "_forward_pre_hooks": "nn.Module: hooks by id",
    "_forward_pre_hooks_with_kwargs": "nn.Module: hooks that get keyword arguments",
    "_from_config": "transformers' classes of models: build from a configuration",
    "_is_view": "torch.Tensor: whether it looks into the memory of another",
    "_modules": "nn.Module: registered children",
    "_non_persistent_buffers_set": "nn.Module: buffers that state_dict leaves out",
    "_opname": "OpOverload: the operator's name without namespace and overload",
    "_overloadname": "OpOverload: the overload's name",
    "_parameters": "nn.Module: registered parameters",
    "_privateuse1_backend_name": "torch.utils.backend_registration: the device that torch leaves to extensions",
    "_schema": "OpOverload: names, types and aliases of arguments",
    "_sequence_nr": "autograd nodes: which forward call made them",
    "_version": "torch.Tensor: how often it was written in place",
}
"""Private attributes of foreign objects that the package reads: on every torch since the floor."""
