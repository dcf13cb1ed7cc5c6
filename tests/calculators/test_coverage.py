"""Every operator that 357 public models were seen to run has a formula or is free."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchstat_cli.calculators import builtin_registry

SEEN = [line for line in (Path(__file__).parent / "operators_seen.txt").read_text().splitlines() if line[0] != "#"]

BEYOND = """
    aten._scaled_dot_product_flash_attention_for_cpu aten._scaled_dot_product_flash_attention_for_cpu_backward
    aten._scaled_dot_product_efficient_attention aten._scaled_dot_product_cudnn_attention
    aten._scaled_dot_product_fused_attention_overrideable aten._flash_attention_forward aten._flash_attention_backward
    aten._efficient_attention_forward aten._transformer_encoder_layer_fwd aten._native_multi_head_attention
    aten.mkldnn_rnn_layer aten._cudnn_rnn aten._cudnn_rnn_backward aten._thnn_fused_lstm_cell aten._thnn_fused_gru_cell
    aten._grouped_mm aten._scaled_mm aten._scaled_grouped_mm aten._int_mm aten._weight_int8pack_mm
    quantized.linear quantized.linear_relu quantized.linear_dynamic quantized.conv2d quantized.conv2d_relu
    aten.bilinear aten._trilinear aten.cdist aten._euclidean_dist aten.mv aten.dot aten.addr aten.outer
    aten.linalg_solve aten.linalg_svd aten._fft_r2c aten._fft_c2r aten.cumprod aten.logcumsumexp aten.sort aten.topk
    aten.grid_sampler_3d torchvision.roi_align torchvision.deform_conv2d torchvision.nms aten.embedding_bag
    aten._sparse_mm aten.scatter_add aten.scatter_reduce aten.index_reduce aten.cross_entropy_loss aten._ctc_loss
    higher_order.flex_attention aten._foreach_addcdiv_ aten._foreach_sqrt aten._fused_adam_ aten._fused_adamw_
    aten._fused_sgd_ aten._fused_rms_norm aten.bernoulli aten.multinomial aten.randn
""".split()  # noqa: SIM905  (a long list of names reads better as text)


@pytest.mark.parametrize("operator", SEEN)
def test_seen_operators_are_known_without_torchs_tags(operator: str) -> None:
    name, overload = operator.rsplit(".", 1)
    assert builtin_registry().knows(name, overload)


@pytest.mark.parametrize("name", BEYOND)
def test_operators_of_other_devices_and_dtypes_are_known(name: str) -> None:
    assert builtin_registry().knows(name)


def test_the_list_is_whole() -> None:
    assert len(SEEN) == len(set(SEEN)) == 288


def test_the_operators_of_torch_are_known_but_for_composites_and_a_named_few() -> None:
    """Whatever torch can run and cannot take apart itself is known, or is in this list."""
    torch = pytest.importorskip("torch")
    if not torch.__version__.startswith("2.13."):
        pytest.skip("the list below belongs to torch 2.13")
    unknown = set()
    for name in torch._C._dispatch_get_all_op_names():
        packet, _, overload = name.removeprefix("aten::").partition(".")
        if not name.startswith("aten::") or packet.startswith(("_test_", "_foobar")):
            continue
        if torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"):
            continue
        func = getattr(getattr(torch.ops.aten, packet), overload or "default")
        tags = {"pointwise"} if torch.Tag.pointwise in func.tags else set()
        if not builtin_registry().knows(f"aten.{packet}", overload or "default", tags):
            unknown.add(packet.rstrip("_"))
    assert unknown <= ACCEPTED, sorted(unknown - ACCEPTED)


ACCEPTED = set(
    """
    _compute_linear_combination _cslt_sparse_mm_search _dirichlet_grad
    _fake_quantize_learnable_per_channel_affine_backward _fake_quantize_learnable_per_tensor_affine_backward
    _fill_mem_eff_dropout_mask _fused_moving_avg_obs_fq_helper_functional _histogramdd_bin_edges _nested_sum_backward
    _sobol_engine_ff _sobol_engine_initialize_state _sobol_engine_scramble _sparse_csr_prod _sparse_csr_sum
    _sparse_log_softmax _sparse_log_softmax_backward_data _sparse_mask_projection _sparse_mm_reduce_impl_backward
    _sparse_semi_structured_apply _sparse_semi_structured_apply_dense _sparse_semi_structured_tile _sparse_softmax
    _sparse_softmax_backward_data _sparse_sum _sparse_sum_backward _spsolve _standard_gamma_grad
    _transform_bias_rescale_qkv _wrapped_quantized_linear_prepacked glu_backward_jvp glu_jvp linalg_matrix_exp
    mps_convolution_transpose_backward multilabel_margin_loss_backward multilabel_margin_loss_forward
    """.split()  # noqa: SIM905
)
"""Data decides their cost, or they are too rare to have one."""
