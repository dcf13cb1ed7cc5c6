"""Small honest models without weights: what bare names resolve to when no model library is installed.

Importing this package costs nothing: the catalogue names the factories, and only the module of a factory imports torch.
"""

from __future__ import annotations

CATALOG: dict[str, str] = {
    "called_three_times": "sample_models.shared:called_three_times",
    "data_dependent_branch": "sample_models.branch:data_dependent_branch",
    "decoder_lm": "sample_models.language:decoder_lm",
    "dict_input": "sample_models.inputs:dict_input",
    "functional_only": "sample_models.functional:functional_only",
    "lstm_classifier": "sample_models.recurrent:lstm_classifier",
    "mixture_of_experts": "sample_models.experts:mixture_of_experts",
    "mlp": "sample_models.mlp:mlp",
    "needs_another_shape": "sample_models.broken:needs_another_shape",
    "raises_in_init": "sample_models.broken:raises_in_init",
    "raises_mid_forward": "sample_models.broken:raises_mid_forward",
    "resnet18": "sample_models.resnet:resnet18",
    "resnet50": "sample_models.resnet:resnet50",
    "returns_no_tensor": "sample_models.broken:returns_no_tensor",
    "routed_experts": "sample_models.experts:routed_experts",
    "transformer_encoder": "sample_models.transformer:transformer_encoder",
    "two_inputs": "sample_models.inputs:two_inputs",
    "unet": "sample_models.unet:unet",
    "vit": "sample_models.vit:vit",
    "vit_tiny": "sample_models.vit:vit_tiny",
}
"""Bare name to the spec ``module:factory`` in a checkout; every factory of this package is listed."""

__all__ = ["CATALOG"]
