"""Every error has one sentence, a remedy and exit code 2; the tree drawn in the module is the tree in the code."""

from __future__ import annotations

import inspect
import re

import pytest

from torchstat_cli import errors
from torchstat_cli.errors import EjectedError, ForwardError, ModelstatError, SelectionError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ModelstatError)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_undecided_and_carries_its_remedy(kind: type[ModelstatError]) -> None:
    error = kind("it broke", "mend it")
    assert (error.exit_code, error.message, error.hint) == (2, "it broke", "mend it")
    assert str(error) == "it broke\n  mend it"
    assert str(kind("it broke")) == "it broke"


def test_documented_tree_is_the_real_one() -> None:
    """The parent of each name in the drawing is the last name drawn further left."""
    above: list[tuple[int, str]] = []
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─\s]*)(\w+Error)\b", line)
        if match:
            while above and above[-1][0] >= len(match[1]):
                above.pop()
            drawn[match[2]] = above[-1][1] if above else "Exception"
            above.append((len(match[1]), match[2]))
    assert drawn == {kind.__name__: kind.__mro__[1].__name__ for kind in ALL}


def test_forward_error_knows_where() -> None:
    assert ForwardError("it broke", path="layer1.0").path == "layer1.0"
    assert ForwardError("it broke").path == ""


def test_errors_that_other_libraries_callers_expect() -> None:
    with pytest.raises(ValueError, match="no such node"):
        raise SelectionError("no such node")
    with pytest.raises(AssertionError, match="ejected"):
        raise EjectedError("ejected")
