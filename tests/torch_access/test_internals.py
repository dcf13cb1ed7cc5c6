"""A torch that lacks a private name says so in one sentence, whoever asks."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

_RUNS = {
    "profile": "ms.profile('sample_models.vit:vit_tiny')",
    "train": "ms.profile('sample_models.vit:vit_tiny', train=True)",
    "recurrent": "ms.profile('sample_models.recurrent:lstm_classifier', train=True)",
    "math": "ms.profile('sample_models.vit:vit_tiny', attention='math')",
    "nodes": (
        "ms.get_graph_node_names(nn.Sequential(nn.Linear(2, 2)), engine='runtime', example_inputs=torch.zeros(1, 2))"
    ),
    "graph": "ms.create_feature_extractor(nn.Sequential(nn.Dropout(), nn.Linear(2, 2)), ['1'])",
}

_MISSING = [
    ("torch._C", "_dispatch_keys", "profile"),
    ("torch._C", "_dispatch_has_kernel_for_dispatch_key", "profile"),
    ("torch._C", "_len_torch_dispatch_stack", "profile"),
    ("torch._C._functorch", "peek_interpreter_stack", "profile"),
    ("torch.utils._python_dispatch", "_get_current_dispatch_mode", "profile"),
    ("torch.utils._python_dispatch", "_disable_current_modes", "profile"),
    ("torch._ops", "HigherOrderOperator", "profile"),
    ("torch.autograd", "_get_sequence_nr", "train"),
    ("torch._C", "_current_autograd_node", "train"),
    ("torch", "_fused_sdp_choice", "train"),
    ("torch", "_VF", "recurrent"),
    ("torch.ops.aten", "_scaled_dot_product_attention_math", "math"),
    ("torch.overrides", "_push_mode", "nodes"),
    ("torch.overrides", "_pop_mode", "nodes"),
    ("torch.overrides", "_get_current_function_mode_stack", "nodes"),
    ("torch.nn.modules.dropout", "_DropoutNd", "graph"),
]


def run_without(owner: str, attribute: str, call: str) -> str:
    """What a call says in a fresh process whose torch has no ``owner.attribute``, as far as modelstat can see."""
    script = f"""
    import importlib, warnings
    warnings.simplefilter("ignore")
    import torch
    from torch import nn
    from torchstat_cli.errors import UnsupportedTorchError

    real = importlib.import_module

    class Lacking:
        def __init__(self, module):
            self.module = module
        def __getattr__(self, name):
            if name == {attribute!r}:
                raise AttributeError(name)
            return getattr(self.module, name)

    def import_module(name, package=None):
        module = real(name, package)
        return Lacking(module) if name == {owner!r} else module

    importlib.import_module = import_module
    if {owner!r} == "torch.ops.aten":
        packet = type(torch.ops.aten)
        plain = packet.__getattr__
        def missing(self, name):
            if name == {attribute!r}:
                raise AttributeError(name)
            return plain(self, name)
        torch.ops.aten.__dict__.pop({attribute!r}, None)
        packet.__getattr__ = missing
    try:
        import torchstat_cli as ms
        {call}
    except UnsupportedTorchError as error:
        print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("owner", "attribute", "run"), _MISSING)
def test_missing_name_is_named(owner: str, attribute: str, run: str) -> None:
    said = run_without(owner, attribute, _RUNS[run])
    assert f"lacks {owner}.{attribute}, which modelstat needs for" in said
    assert "use torch >= " in said
