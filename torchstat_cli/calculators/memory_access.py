"""Which operators read or write only part of their tensors: names by behavior, for traffic.py."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNTOUCHED = _words(
    """
    as_strided_ data detach_ dim empty empty_like empty_permuted empty_quantized empty_strided is_coalesced is_complex
    is_conj is_contiguous is_floating_point is_inference is_leaf is_neg is_pinned is_same_size is_set_to is_signed
    new_empty new_empty_strided numel requires_grad_ resize_ resize_as_ retain_grad set_ size squeeze_ storage_offset
    stride swapaxes_ swapdims_ sym_is_contiguous sym_numel sym_size sym_storage_offset sym_stride t_ transpose_
    unsqueeze_ _fused_sdp_choice _nested_get_jagged_dummy _nested_get_max_seqlen _nested_get_min_seqlen _version
    """
)
"""Only describe or reserve memory: no byte moves."""

WRITE_ONLY = _words(
    """
    bernoulli_ cauchy_ copy_ exponential_ fill_ geometric_ log_normal_ normal_ random_ uniform_ zero_ _foreach_copy_
    _foreach_zero_
    """
)
"""Overwrite ``self`` without reading it."""

CREATION = _words(
    """
    full_like new_full new_ones new_zeros ones_like rand_like randint_like randn_like zeros_like
    _new_zeros_with_same_feature_meta
    """
)
"""Take a tensor only for its shape and dtype."""

GATHERS = {
    "embedding": "weight",
    "gather": "self",
    "index": "self",
    "index_select": "self",
    "masked_select": "self",
    "take": "self",
    "take_along_dim": "self",
    "_unsafe_index": "self",
    "as_strided_copy": "self",
    "narrow_copy": "self",
    "select_copy": "self",
    "slice_copy": "self",
    "sparse_mask": "self",
}
"""Read of the named table only what they put out."""

BAGS = frozenset({"embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"})
"""Read of ``weight`` only the rows that ``indices`` name."""

TRAINING_ONLY = frozenset({"dropout_", "alpha_dropout_", "feature_dropout_", "feature_alpha_dropout_"})
"""Leave ``self`` as it is unless they train."""

SCATTERS = {
    "index_add_": ("source", True),
    "index_copy_": ("source", False),
    "index_reduce_": ("source", True),
    "index_put_": ("values", False),
    "_index_put_impl_": ("values", False),
    "masked_scatter_": ("source", False),
    "put_": ("source", False),
    "scatter_": ("index", False),
    "scatter_add_": ("index", True),
    "scatter_reduce_": ("index", True),
}
"""Write in place as many elements of ``self`` as the named argument has; True where the old value is read too."""

MUTATED = {
    "_fused_adagrad_": ("self", "state_sums"),
    "_fused_adam_": ("self", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"),
    "_fused_adamw_": ("self", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"),
    "_fused_sgd_": ("self", "momentum_buffer_list"),
    "_amp_foreach_non_finite_check_and_unscale_": ("self", "found_inf"),
}
"""Update these arguments and return nothing; every other operator that returns nothing updates ``self``."""

TRAINING_STATISTICS = _words(
    """
    batch_norm cudnn_batch_norm miopen_batch_norm native_batch_norm _batch_norm_impl_index _batch_norm_with_update
    _native_batch_norm_legit
    """
)
"""Update ``running_mean`` and ``running_var`` when they train."""
