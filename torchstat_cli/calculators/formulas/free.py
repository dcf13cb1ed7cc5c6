"""Operators that are free by definition: they move, create, describe or choose, and compute nothing."""

from __future__ import annotations

from torchstat_cli.calculators.registry import BUILTIN

# Listed although torch's "view" tag would find most of them: reshape, contiguous, to … copy only sometimes, and the
# functional "_copy" twins carry no tag. Whether bytes move is the business of traffic.py, not of this file.
_VIEWS = """
    _autocast_to_full_precision _autocast_to_reduced_precision _conj _fw_primal _indices _lazy_clone _make_dual
    _mkldnn_reshape _mkldnn_transpose _neg_view _nested_get_values _nested_view_from_buffer _nested_view_from_jagged
    _reshape_alias _unpack_dual _unsafe_view _values adjoint alias as_strided atleast_1d atleast_2d atleast_3d
    broadcast_tensors broadcast_to ccol_indices chunk coalesce _coalesce _coalesced col_indices conj contiguous
    crow_indices data detach diagonal dsplit expand expand_as flatten hsplit imag indices lift lift_fresh
    linalg_diagonal mH mT matrix_H moveaxis movedim narrow numpy_T permute positive ravel real reshape reshape_as
    resolve_conj resolve_neg row_indices select slice slice_inverse split split_with_sizes squeeze swapaxes swapdims t
    tensor_split to transpose unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze
    values view view_as view_as_complex view_as_real vsplit squeeze_ unsqueeze_ transpose_ t_ set set_data
    _to_sparse_semi_structured unflatten_dense_tensors
"""

_COPIES = """
    _cast_Byte _cast_Char _cast_Double _cast_Float _cast_Half _cast_Int _cast_Long _cast_Short _chunk_cat _conj_copy
    _copy_from _copy_from_and_resize _foreach_clone _foreach_copy _fw_primal_copy _indices_copy _make_dual_copy
    _neg_view_copy _nested_from_padded _nested_from_padded_and_nested_example _nested_from_padded_tensor
    _nested_get_values_copy _nested_tensor_from_mask _nested_tensor_from_tensor_list _nested_view_from_buffer_copy
    _nested_view_from_jagged_copy _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward _pack_padded_sequence
    _pack_padded_sequence_backward _pad_circular _pad_enum _pad_packed_sequence _pin_memory _reshape_copy
    _reshape_from_tensor _shape_as_tensor _sparse_broadcast_to _sparse_broadcast_to_copy _spdiags _stack _to_copy
    _to_cpu _to_dense _to_sparse _to_sparse_bsc _to_sparse_bsr _to_sparse_csc _to_sparse_csr _values_copy alias_copy
    as_strided_copy as_strided_scatter block_diag cartesian_prod cat ccol_indices_copy chalf channel_shuffle clone
    col_indices_copy column_stack combinations complex concat concatenate constant_pad_nd copy copy_sparse_to_sparse
    crow_indices_copy detach_copy diag diag_embed diagflat diagonal_copy diagonal_scatter dstack expand_copy
    fft_fftshift fft_ifftshift flatten_dense_tensors flip fliplr flipud hstack im2col indices_copy
    lift_fresh_copy lu_unpack mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight narrow_copy
    native_channel_shuffle nested_to_padded_tensor pad pad_sequence permute_copy pin_memory pixel_shuffle
    pixel_unshuffle reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d
    replication_pad2d replication_pad3d resize resize_as resize_as_sparse roll rot90 row_indices_copy row_stack
    select_copy select_scatter slice_copy slice_scatter sparse_mask sparse_resize sparse_resize_and_clear split_copy
    split_with_sizes_copy squeeze_copy stack t_copy tile to_dense to_dense_backward to_mkldnn
    to_mkldnn_backward to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr to_sparse_csc to_sparse_csr
    transpose_copy tril triu type_as unbind_copy unfold_copy unsqueeze_copy values_copy view_as_complex_copy
    view_as_real_copy view_copy vstack _propagate_xla_data _reshape_alias_copy _convert_weight_to_int4pack
    _convert_weight_to_int4pack_for_cpu _cslt_compress _dyn_quant_pack_4bit_weight _wrapped_linear_prepack
    fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix fill_diagonal_ _saturate_weight_to_fp16
"""

# XLA counts a select as one operation; here it only decides which value moves.
_SELECTION = """
    _unsafe_index _unsafe_masked_index argwhere gather index index_copy index_fill index_select masked_fill
    masked_scatter masked_select nonzero nonzero_numpy nonzero_static one_hot scatter.src scatter.value
    take take_along_dim where max_unpool2d max_unpool3d embedding _remove_batch_dim _add_batch_dim
"""

# The gradient of a selection puts values back where they came from, and nothing meets there.
_SELECTION_BACKWARD = """
    diagonal_backward masked_select_backward masked_scatter_backward select_backward slice_backward trace_backward
    value_selecting_reduction_backward _nested_select_backward
"""

_CREATION = """
    _dim_arange _efficientzerotensor _empty_affine_quantized _empty_per_channel_affine_quantized
    _make_per_channel_quantized_tensor _make_per_tensor_quantized_tensor _new_zeros_with_same_feature_meta
    _sparse_bsc_tensor_unsafe _sparse_bsr_tensor_unsafe _sparse_compressed_tensor_unsafe
    _sparse_compressed_tensor_with_dims _sparse_coo_tensor_unsafe _sparse_coo_tensor_with_dims
    _sparse_coo_tensor_with_dims_and_tensors _sparse_csc_tensor_unsafe _sparse_csr_tensor_unsafe arange
    bartlett_window blackman_window empty empty_like empty_permuted empty_quantized empty_strided eye fft_fftfreq
    fft_rfftfreq fill fill_ from_file full full_like hamming_window hann_window kaiser_window linspace logspace
    meshgrid new_empty new_empty_strided new_full new_ones new_zeros ones ones_like range scalar_tensor
    sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor sparse_csr_tensor
    tril_indices triu_indices zero zero_ _foreach_zero zeros zeros_like _cudnn_init_dropout_state
"""

_RANDOM = """
    _philox_key_fold_in _philox_key_split _philox_normal _philox_uniform _sample_dirichlet _sobol_engine_draw
    _standard_gamma bernoulli binomial cauchy exponential geometric log_normal multinomial normal normal_functional
    poisson rand rand_like randint randint_like randn randn_like random randperm uniform
"""

_QUESTIONS = """
    _assert_async _assert_scalar _assert_tensor_metadata _convert_indices_from_coo_to_csr
    _convert_indices_from_csr_to_coo _cufft_clear_plan_cache _cufft_get_plan_cache_max_size _cufft_get_plan_cache_size
    _cufft_set_plan_cache_max_size _debug_has_internal_overlap _dimI _dimV _functional_assert_async
    _functional_assert_scalar _functional_sym_constrain_range _functional_sym_constrain_range_for_size
    _fused_sdp_choice _has_compatible_shallow_copy_type _has_same_storage_numel _is_all_true _is_any_true
    _is_zerotensor _linalg_check_errors _local_scalar_dense _make_dep_token _nested_compute_contiguous_strides_offsets
    _nested_get_jagged_dummy _nested_get_lengths _nested_get_max_seqlen _nested_get_min_seqlen _nested_get_offsets
    _nested_get_ragged_idx _nested_tensor_from_mask_left_aligned _nested_tensor_size _nested_tensor_storage_offsets
    _nested_tensor_strides _nnpack_available _nnz _print _resize_output _use_cudnn_ctc_loss
    _use_cudnn_rnn_flatten_weight _use_miopen_ctc_loss _cudnn_rnn_flatten_weight _validate_compressed_sparse_indices
    _validate_sparse_bsc_tensor_args _validate_sparse_bsr_tensor_args _validate_sparse_compressed_tensor_args
    _validate_sparse_coo_tensor_args _validate_sparse_csc_tensor_args _validate_sparse_csr_tensor_args _version
    can_cast cudnn_is_acceptable dense_dim dim get_device get_gradients is_coalesced is_complex is_conj is_contiguous
    is_distributed is_floating_point is_inference is_leaf is_neg is_nonzero is_pinned is_same_size is_set_to
    is_signed is_vulkan_available item numel output_nr promote_types q_per_channel_axis q_per_channel_scales
    q_per_channel_zero_points q_scale q_zero_point qscheme record_stream requires_grad_ result_type retain_grad
    retains_grad _backward size sparse_dim storage_offset stride sym_constrain_range sym_constrain_range_for_size
    sym_is_contiguous sym_numel sym_size sym_storage_offset sym_stride int_repr
"""


def _claim(reason: str, names: str) -> None:
    BUILTIN.free(*(f"aten.{name}" for name in names.split()), reason=reason)


_claim("a view, or a copy with other strides", _VIEWS)
_claim("moves data", _COPIES)
_claim("selects data", _SELECTION)
_claim("puts gradients back where a selection took values", _SELECTION_BACKWARD)
_claim("creates values that depend on no tensor", _CREATION)
_claim("draws random numbers", _RANDOM)
_claim("describes a tensor", _QUESTIONS)

_COLLECTIVES = """
    all_gather_into_tensor all_gather_into_tensor_coalesced all_reduce all_reduce_coalesced all_to_all_single
    batch_p2p_ops broadcast irecv isend reduce_scatter_tensor reduce_scatter_tensor_coalesced wait_tensor
"""
BUILTIN.free(
    *(f"_c10d_functional.{name}" for name in _COLLECTIVES.split()),
    *(f"_c10d_functional_autograd.{name}" for name in ("all_gather_into_tensor", "all_to_all_single")),
    "_c10d_functional_autograd.reduce_scatter_tensor",
    reason="moves data between ranks, whose network does the sums",
)
BUILTIN.free("prims.device_put", "prims.convert_element_type", reason="moves data")
BUILTIN.free(
    *(f"profiler.{name}" for name in ("_record_function_enter", "_record_function_enter_new", "_record_function_exit")),
    reason="notes the time",
)
