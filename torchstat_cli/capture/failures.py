"""The error of a forward pass that failed: in which module, on what, and which layers had run before."""

from __future__ import annotations

from torchstat_cli.capture.instrumentation.hooks import CaptureHooks
from torchstat_cli.errors import ForwardError
from torchstat_cli.foreign_text import class_of, first_line_of
from torchstat_cli.records import Shape
from torchstat_cli.units import format_shape

_LAYERS_SHOWN = 4  # before the one that failed


def run_error(hooks: CaptureHooks, error: Exception) -> ForwardError:
    """The error that names the module in which a run failed, and what it was given."""
    failure = hooks.failure
    path, shapes = (failure.path, failure.input_shape) if failure and failure.error is error else ("", ())
    where = f"in {path!r}" if path else "in the model itself"
    given = f" on input {', '.join(map(format_shape, shapes))}" if shapes else ""
    failed = ForwardError(f"forward failed {where}{given}: {class_of(error)}: {first_line_of(error)}", path=path)
    failed.context = _ran_before(hooks)
    return failed


def _ran_before(hooks: CaptureHooks) -> str | None:
    """The last layers that ended, oldest first, with what they were given and made; None where none has ended."""
    pairs = zip(hooks.sites, hooks.rows, strict=False)  # there are no rows if they could not be made
    ended = [(row.read(), site) for site, row in pairs if site.is_leaf and row.calls and row.begun is None]
    ended = sorted((pair for pair in ended if pair[0].output_shape), key=lambda pair: pair[0].order)
    if not ended:
        return None
    earlier = f"{len(ended) - _LAYERS_SHOWN} others, " if len(ended) > _LAYERS_SHOWN else ""
    layers = (
        f"{site.path} ({type(site.module).__name__}, {_shapes(seen.input_shape)} to {_shapes(seen.output_shape)})"
        for seen, site in ended[-_LAYERS_SHOWN:]
    )
    return f"ran before: {earlier}{', '.join(layers)}"


def _shapes(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(map(format_shape, shapes)) or "nothing"
