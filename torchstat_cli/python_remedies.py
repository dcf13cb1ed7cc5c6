"""Remedies in the words of Python: what fails is told one way, but a caller in Python has no command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torchstat_cli.errors import ModelstatError

_Spelling = str | Callable[[re.Match[str]], str]


def _shape(found: re.Match[str]) -> str:
    sizes = found["shape"].split(",")
    shape = f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"
    if found["dtype"]:
        return f"{found['name'] or 'an input'} of shape {shape} and dtype {found['dtype']}"
    return f"{found['name']} of shape {shape}" if found["name"] else f"input_shape={shape}"


_SPELLINGS: tuple[tuple[re.Pattern[str], _Spelling], ...] = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r",? ?or see the whole traceback with --debug", ", or see what caused this error"),
        (r"see the whole traceback with --debug", "see what caused this error"),
        (r" with --input\b(?! [\w=]*\d)", ""),
        (r" \(or --inputs module:function\)", ""),
        (r"--input (?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>\d+(?:,\d+)*)(?::(?P<dtype>\w+))?", _shape),
        (r"--input (\w+)=SHAPE", r"\1"),
        (r"--device says", "the argument device says"),
        (r"--device (\w+) or (\w+)\b", r"device='\1' or '\2'"),
        (r"--device ([\w:]+)", r"device='\1'"),
        (r"--(strict|train|memory)\b", r"\1=True"),
        (r"leave (strict|train|memory)=True out", r"leave \1 out"),
        (r"--loss module:function", "loss=function"),
        (r"--(loss|optimizer) ([\w.:]+)", r"\1='\2'"),
        (r"--inputs package\.module:function", "the inputs themselves"),
        (r"leave --arg out", "leave the arguments out"),
        (r"--arg (\w+)=(\S+)", r"\1=\2"),
        (r"the --arg values", "the arguments"),
        (r"--arg (\w+)", r"\1"),
        (r"--arg changes", "an argument changes"),
        (r"give --input\b", "give input_shape"),
        (r"--([a-z][\w-]*)", r"\1"),  # whatever else there is
    )
)


def in_python(remedy: str) -> str:
    """``remedy``, with options of the command line as arguments."""
    for pattern, spelling in _SPELLINGS:
        remedy = pattern.sub(spelling, remedy)
    return remedy


@contextmanager
def told_in_python() -> Iterator[None]:
    """Errors raised inside say what a caller in Python can do."""
    try:
        yield
    except ModelstatError as error:
        if error.hint is not None:
            error.hint = in_python(error.hint)
        raise
