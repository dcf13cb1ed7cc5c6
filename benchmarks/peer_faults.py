"""Where each tool is wrong and why, as read in its source after the table showed it."""

from __future__ import annotations

from collections.abc import Mapping

FAULTS: Mapping[str, str] = {
    "FlopCounterMode, CPU": """\
It has no rule for the kernels that torch's dispatcher fuses on the CPU: scaled dot-product attention, the recurrent
layer and the fast path of torch's own encoder count nothing, nor does the grouped product of experts; it does not say
so.""",
    "FlopCounterMode, meta": """\
The same tool on a model on meta, where fused kernels fall apart into products that it knows; the most exact peer where
it runs. Code that asks a tensor for a value fails, and so does the grouped product of experts in float32. It counts no
parameters and nothing but contractions.""",
    "torchprofile": """\
Traces the model. Elementwise products and norms are added to the contractions; `torch.mm`, GRU, `tensordot` and grouped
products are missed; a transposed convolution is counted at its output positions. No parameters, no keyword inputs,
nothing on meta.""",
    "fvcore": """\
Traces the model, so that an output with a cache object fails. Fused attention and recurrent layers count nothing, which
it warns about; norms, pooling and interpolation add elements.""",
    "calflops": """\
Replaces functions of `torch.nn.functional` while it runs: fused attention, `@`, `torch.mm` and `torch.bmm` pass unseen,
and so does a function that was imported by name before. It counts trainable parameters only and leaves its replacements
in place when the forward raises.""",
    "ptflops, pytorch": """\
Hooks on module classes: a hooked class hides the modules below it, so that the linear layers inside timm's attention
are lost; functional code passes unseen where it is not patched; norms, activations and biases are added. It divides
hooked layers by the batch, but not functions. Errors are printed and None is returned.""",
    "ptflops, aten": """\
A dispatch mode without rules for the fused attention and recurrent kernels of the CPU; biases are added. Its hooks stay
on the model.""",
    "thop": """\
Rules for exact classes of leaf modules: functional products, `nn.MultiheadAttention`, bare parameters and subclasses
count nothing, and parameters only where a rule ran; norms and activations are added. It leaves buffers on every
container, so that the state_dict no longer loads.""",
    "torchinfo": """\
Takes parameters times positions: right for convolutions, without the token axis for linear layers; whatever has Conv in
its class name is taken for a convolution; an embedding counts its whole table, attention nothing. Tied and shared
weights are counted again.""",
}
"""By the name of the tool, as wrapped text."""
