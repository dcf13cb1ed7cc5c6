"""The catalogue names every factory, and reading it imports nothing heavy."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import sample_models
from sample_models import CATALOG
from tests.sample_models.building import BUILDABLE, find_factory

_ROOT = Path(sample_models.__file__).parent.parent


def _imported(code: str) -> set[str]:
    """Modules that a fresh Python holds after running ``code``."""
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)
    return set(finished.stdout.split())


def test_every_factory_is_in_the_catalogue():
    found = {}
    for info in pkgutil.iter_modules(sample_models.__path__):
        module = importlib.import_module(f"sample_models.{info.name}")
        for name, value in vars(module).items():
            if hasattr(value, "example_inputs") and value.__module__ == module.__name__:
                found[name] = f"{module.__name__}:{name}"
    assert found == CATALOG


def test_every_entry_is_a_factory_with_example_inputs():
    for name in CATALOG:
        factory = find_factory(name)
        assert factory.__name__ == name
        assert factory.__doc__
        assert factory.example_inputs


def test_names_are_sorted():
    assert list(CATALOG) == sorted(CATALOG)


def test_the_catalogue_imports_no_torch():
    imported = _imported("from sample_models import CATALOG")
    assert "sample_models" in imported
    assert "torch" not in imported
    assert not any(name.startswith("sample_models.") for name in imported)


def test_building_on_meta_imports_nothing_heavy():
    """These cost most of a second, and torch pulls them in on the first arithmetic or normal sampling on meta."""
    lines = ["import torch", "from importlib import import_module"]
    lines += ["before = set(sys.modules)", "with torch.device('meta'):"]
    for name in BUILDABLE:
        module, _, factory = CATALOG[name].partition(":")
        lines.append(f"    import_module({module!r}).{factory}()")
    lines.append("assert not {'sympy', 'torch._dynamo', 'torch._inductor'} & (set(sys.modules) - before)")
    imported = _imported("\n".join(lines))
    assert "sample_models.vit" in imported
    assert not {"torchvision", "timm", "transformers", "pandas"} & imported
