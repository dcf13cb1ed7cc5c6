"""Run foreign code and leave the process as it was: import path, directory, random state, defaults, standard output."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Iterator, Sequence

import torch


@contextlib.contextmanager
def untouched_process(import_path: Sequence[str] = ()) -> Iterator[None]:
    """Everything that a model's code commonly changes is put back on leaving, also after an exception.

    What the code prints goes to standard error: standard output belongs to results.

    Args:
        import_path: folders placed first on ``sys.path`` inside.
    """
    path, directory = list(sys.path), os.getcwd()
    dtype, python_random = torch.get_default_dtype(), random.getstate()
    torch_random, grad = torch.get_rng_state(), torch.is_grad_enabled()
    cuda_random = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    numpy_random = sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None
    sys.path[:0] = import_path
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:] = path
        os.chdir(directory)
        random.setstate(python_random)
        torch.set_default_dtype(dtype)
        torch.set_rng_state(torch_random)
        torch.set_grad_enabled(grad)
        if cuda_random is not None:
            torch.cuda.set_rng_state_all(cuda_random)
        if numpy_random is not None:
            sys.modules["numpy"].random.set_state(numpy_random)
