"""What CPU kernels hold below the dispatcher, in closed form."""

from torchstat_cli.capture.cpu_kernels import (  # noqa: F401  (imported for the rules that they register)
    attention,
    copies,
    intermediates,
    linear_algebra,
    resizing,
    vision,
)
