"""Losses and their gradients."""

from __future__ import annotations

from torchstat_cli.calculators.counting import DERIVED, argument, first_tensor, per_element
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

_NONE, _MEAN, _SUM = range(3)  # torch's numbers of the reductions

# name -> (operations per element before the reduction, what they are)
_PER_ELEMENT = {
    "l1_loss": (2, "subtract, abs"),
    "mse_loss": (2, "subtract, square"),
    "smooth_l1_loss": (7, "subtract, abs, compare, square, halve, divide, subtract"),
    "huber_loss": (7, "subtract, abs, compare, square, halve, subtract, multiply"),
    "soft_margin_loss": (4, "multiply, exp, log1p, negate"),
    "multi_margin_loss": (4, "two differences, compare, add"),
    "binary_cross_entropy": (9, "two bounded logarithms (5), two weights (1), two products, difference"),
    "binary_cross_entropy_with_logits": (9, "log-sigmoid (6), weight, product, difference"),
}
_PER_ELEMENT_BACKWARD = {
    "mse_loss_backward": (3, "subtract, scale, times g"),
    "smooth_l1_loss_backward": (6, "subtract, two comparisons, divide, scale, times g"),
    "huber_loss_backward": (6, "subtract, two comparisons, two products, times g"),
    "soft_margin_loss_backward": (6, "multiply, exp, add, divide, multiply, times g"),
    "multi_margin_loss_backward": (4, "two differences, compare, add"),
    "binary_cross_entropy_backward": (6, "two differences, product, bound, quotient, times g"),
}


def _claim(name: str, operations: int, words: str, reduces: bool) -> None:
    after = ", then the reduction" if reduces else ""

    @BUILTIN.formula(f"aten.{name}", words=f"{operations} per element: {words}{after}", source=DERIVED)
    def loss(op: OpRecord) -> Cost:
        elements = op.inputs[0].numel if reduces else op.output.numel
        # class or element weights multiply once; a positive weight w turns a factor into 1 + (w - 1) * t
        weights = op.has_tensor("weight") + 4 * op.has_tensor("pos_weight")
        return per_element(op, operations + weights, elements) + (_reduction(op, elements) if reduces else Cost())


for _name, (_operations, _words) in _PER_ELEMENT.items():
    _claim(_name, _operations, _words, reduces=True)
for _name, (_operations, _words) in _PER_ELEMENT_BACKWARD.items():
    _claim(_name, _operations, _words, reduces=False)


@BUILTIN.formula(
    "aten.nll_loss",
    "aten.nll_loss2d",
    "aten.nll_loss_nd",
    "aten.nll_loss_forward",
    "aten.nll_loss2d_forward",
    source=DERIVED,
)
def negative_log_likelihood(op: OpRecord) -> Cost:
    """1 per target (negate), 2 with class weights, then the reduction."""
    targets = op.tensor("target").numel
    return Cost(flops=(2 if op.has_tensor("weight") else 1) * targets) + _reduction(op, targets)


@BUILTIN.formula("aten.nll_loss_backward", "aten.nll_loss2d_backward", source=DERIVED)
def negative_log_likelihood_backward(op: OpRecord) -> Cost:
    """2 per target: negate, times g; 1 more with class weights."""
    return Cost(flops=(3 if op.has_tensor("weight") else 2) * op.tensor("target").numel)


@BUILTIN.formula("aten.cross_entropy_loss", source=DERIVED)
def cross_entropy(op: OpRecord) -> Cost:
    """Log-softmax (5 per logit less 1 per row), then the likelihood of the targets, smoothing and the reduction."""
    logits, target = op.tensor("self"), op.tensor("target")
    classes = logits.shape[1] if len(logits.shape) > 1 else logits.shape[0]
    rows = logits.numel // classes if classes else 0
    smooths, weighs = argument(op, "label_smoothing", 0.0) > 0, op.has_tensor("weight")
    flops = 5 * logits.numel - rows
    if target.is_floating and target.shape == logits.shape:
        # probabilities: product, sum and sign, one division for the mean; smoothing scales and shifts them before
        averages = argument(op, "reduction", _MEAN) == _MEAN
        return Cost(flops=flops + (2 + 2 * smooths + weighs) * logits.numel + averages)
    # classes: a sign and a weight per row; smoothing sums and negates every row and blends both losses (3)
    likelihood = Cost(flops=flops + (1 + weighs) * rows) + _reduction(op, rows)
    smoothing = Cost(flops=(1 + weighs) * logits.numel + 3 * op.output.numel) + _reduction(op, rows)
    return likelihood + smoothing if smooths else likelihood


@BUILTIN.formula("aten.kl_div", source=DERIVED)
def divergence(op: OpRecord) -> Cost:
    """4 per element (log, two products, difference), 3 for logarithmic targets (exp, difference, product)."""
    given = op.tensor("self")
    return per_element(op, 3 if argument(op, "log_target", False) else 4, given.numel) + _reduction(op, given.numel)


@BUILTIN.formula("aten._ctc_loss", "aten._cudnn_ctc_loss", "aten.miopen_ctc_loss", source="Graves et al. 2006")
def connectionist_temporal(op: OpRecord) -> Cost:
    """13 per step and state of the forward recursion, 2 x longest target + 1 states."""
    # logsumexp of three: two maxima, three differences, three exponentials, two sums, log, two sums
    return Cost(flops=13 * _recursion(op))


@BUILTIN.formula("aten._ctc_loss_backward", source="Graves et al. 2006")
def connectionist_temporal_backward(op: OpRecord) -> Cost:
    """19 per step and state (backward recursion, merge) and 4 per log-probability."""
    # recursion 13, alpha + beta 1 and its logsumexp into the class 5; exp(lp) - exp(sum - lp + nll), times g
    return Cost(flops=19 * _recursion(op) + 4 * op.tensor("log_probs").numel)


def _recursion(op: OpRecord) -> int:
    log_probs, targets = first_tensor(op, "log_probs"), op.tensor("targets")
    steps = log_probs.shape[0]
    batch = log_probs.shape[1] if len(log_probs.shape) > 2 else 1
    if len(targets.shape) == 2:
        return steps * batch * (2 * targets.shape[1] + 1)
    return steps * (2 * targets.numel + batch)  # targets joined end to end: their lengths add up


def _reduction(op: OpRecord, elements: int) -> Cost:
    reduction = argument(op, "reduction", _MEAN)
    if reduction == _NONE or not elements:
        return Cost()
    return Cost(flops=elements if reduction == _MEAN else elements - 1)
