"""Losses and their gradients, computed by hand."""

from __future__ import annotations

import pytest

from tests.calculators.making import flops, tensor

NONE, MEAN, SUM = range(3)
X, CLASSES = tensor(6, 8), tensor(6, dtype="int64")


@pytest.mark.parametrize(
    ("name", "per_element"),
    [
        ("mse_loss", 2),
        ("l1_loss", 2),
        ("smooth_l1_loss", 7),
        ("huber_loss", 7),
        ("binary_cross_entropy", 9),
        ("kl_div", 4),
    ],
)
def test_elementwise_losses(name: str, per_element: int) -> None:
    given = {"self": X, "target": X}
    assert flops(f"aten.{name}", tensor(6, 8), **given, reduction=NONE) == per_element * 48
    assert flops(f"aten.{name}", tensor(), **given, reduction=SUM) == per_element * 48 + 47
    assert flops(f"aten.{name}", tensor(), **given, reduction=MEAN) == per_element * 48 + 48


def test_weights_multiply() -> None:
    given = {"self": X, "target": X, "reduction": NONE}
    assert flops("aten.binary_cross_entropy", X, **given, weight=X) == 480
    assert flops("aten.binary_cross_entropy_with_logits", X, **given, pos_weight=tensor(8)) == 13 * 48
    assert flops("aten.kl_div", X, **given, log_target=True) == 144


def test_likelihood() -> None:
    assert flops("aten.nll_loss_forward", tensor(), self=X, target=CLASSES, reduction=MEAN) == 6 + 6
    assert flops("aten.nll_loss_forward", tensor(6), self=X, target=CLASSES, reduction=NONE) == 6
    assert flops("aten.nll_loss_backward", X, grad_output=tensor(), self=X, target=CLASSES) == 12


def test_cross_entropy() -> None:
    log_softmax = 5 * 48 - 6
    given = {"self": X, "target": CLASSES, "reduction": MEAN}
    assert flops("aten.cross_entropy_loss", tensor(), **given, label_smoothing=0.0) == log_softmax + 12
    # every row summed and negated, averaged, and the two losses blended
    assert flops("aten.cross_entropy_loss", tensor(), **given, label_smoothing=0.1) == log_softmax + 12 + 48 + 6 + 3
    soft = {"self": X, "target": tensor(6, 8), "reduction": MEAN}
    assert flops("aten.cross_entropy_loss", tensor(), **soft) == log_softmax + 96 + 1
    images = {"self": tensor(2, 8, 3, 3), "target": tensor(2, 3, 3, dtype="int64"), "reduction": SUM}
    assert flops("aten.cross_entropy_loss", tensor(), **images) == 5 * 144 - 18 + 18 + 17


def test_connectionist_temporal_classification() -> None:
    given = {"log_probs": tensor(20, 2, 5), "targets": tensor(2, 4, dtype="int64")}
    assert flops("aten._ctc_loss", tensor(2), **given) == 13 * 20 * 2 * 9
    joined = {"log_probs": tensor(20, 2, 5), "targets": tensor(8, dtype="int64")}
    assert flops("aten._ctc_loss", tensor(2), **joined) == 13 * 20 * 2 * 9


def test_gradients() -> None:
    assert flops("aten.mse_loss_backward", X, grad_output=tensor(), self=X, target=X) == 144
    assert flops("aten.binary_cross_entropy_backward", X, grad_output=tensor(), self=X, target=X, weight=X) == 7 * 48
