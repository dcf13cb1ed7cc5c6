"""Bare names ask the installed libraries in order; explicit ones say what is wrong with theirs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from torchstat_cli.errors import SpecError
from torchstat_cli.loading import find_model, place, providers

Write = Callable[[str, str], Path]
SAMPLES = providers.PROVIDERS[-1]


def use(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let torchvision and timm be the given packages, then come the sample models."""
    libraries = [
        replace(provider, package=package) for provider, package in zip(providers.PROVIDERS, packages, strict=False)
    ]
    monkeypatch.setattr(providers, "PROVIDERS", (*libraries, SAMPLES))


def test_libraries_that_are_not_installed_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "absent_vision", "absent_timm")
    source = find_model("resnet18")
    assert (source.spec, source.resolved, source.notices) == ("resnet18", "sample_models.resnet:resnet18", ())
    assert sum(parameter.numel() for parameter in place(source).model.parameters()) == 11_689_512


def test_a_broken_library_is_passed_over_with_one_notice(
    monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path
) -> None:
    write("broken_vision.py", "raise RuntimeError('operator torchvision::nms does not exist')\n")
    write("broken_timm.py", "import broken_vision\n")
    monkeypatch.syspath_prepend(tmp_path)
    use(monkeypatch, "broken_vision", "broken_timm")
    assert find_model("resnet18").notices == (
        "torchvision and timm are installed but cannot be imported: operator torchvision::nms does not exist "
        "(install the torch and torchvision of one release from the same package index)",
    )
    with pytest.raises(SpecError) as caught:
        find_model("torchvision/resnet18")
    assert caught.value.message == (
        "broken_vision is installed but cannot be imported: operator torchvision::nms does not exist"
    )
    assert caught.value.hint == "install the torch and torchvision of one release from the same package index"


def test_an_unknown_bare_name(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "absent_vision")
    with pytest.raises(SpecError) as caught:
        find_model("resnt18")
    assert caught.value.message == "no model 'resnt18'; did you mean resnet18 or resnet50?"
    assert caught.value.hint == (
        "asked sample_models; your own model is package.module:factory; not installed: torchvision"
    )


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("torchvision/resnet18", "absent_vision is not installed", "pip install torchvision"),
        ("sample_models/resnt18", "sample_models has no model 'resnt18'; did you mean resnet18", "CATALOG lists them"),
        ("sample_models/", "sample_models has no model ''", "CATALOG lists them"),
    ],
)
def test_explicit_libraries(monkeypatch: pytest.MonkeyPatch, spec: str, message: str, hint: str) -> None:
    use(monkeypatch, "absent_vision")
    with pytest.raises(SpecError) as caught:
        find_model(spec)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_bare_name_imports_no_library_that_is_not_installed() -> None:
    program = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torchvision", "timm", "transformers"):
            raise ModuleNotFoundError(name, name=name)

import importlib.util
original = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("torchvision", "timm") else original(name, *rest)
sys.meta_path.insert(0, Hidden())
from torchstat_cli.loading import find_model, place
print(place(find_model("resnet18")).placement)
unwanted = ("torchvision", "timm", "transformers", "pandas", "sympy", "torch._dynamo")
print([name for name in unwanted if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["meta", "[]"]
