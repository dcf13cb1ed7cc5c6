"""Bare names ask the installed libraries in order; explicit ones say what is wrong with theirs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from torchstat_cli.errors import SpecError
from torchstat_cli.loading import ModelSource, find_model, place, providers

Write = Callable[[str, str], Path]
SAMPLE_NOTICE = (
    "resnet18 is a sample model of modelstat, not a library's; sample_models/resnet18 names it without this notice"
)
NET = "from torch import nn\nclass Net(nn.Module): ...\n"


def use(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let torchvision and timm be the given packages, then come the sample models."""
    libraries = [
        replace(provider, package=package) for provider, package in zip(providers.PROVIDERS, packages, strict=False)
    ]
    monkeypatch.setattr(providers, "PROVIDERS", (*libraries, providers.SAMPLES))


def test_libraries_that_are_not_installed_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "absent_vision", "absent_timm")
    source = find_model("resnet18")
    assert (source.spec, source.resolved) == ("resnet18", "sample_models/resnet18")
    assert source.notices == (SAMPLE_NOTICE,)
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
        SAMPLE_NOTICE,
    )
    with pytest.raises(SpecError) as caught:
        find_model("torchvision/resnet18")
    assert caught.value.message == (
        "broken_vision is installed but cannot be imported: operator torchvision::nms does not exist"
    )
    assert caught.value.hint == "install the torch and torchvision of one release from the same package index"


@pytest.mark.parametrize(
    ("file", "places", "written"),
    [
        ("resnet18.py", "resnet18.py", "resnet18.py:Net"),
        ("ResNet18.py", "ResNet18.py", "ResNet18.py:Net"),
        ("res-net_18.py", "res-net_18.py", "res-net_18.py:Net"),
        ("resnet18/__init__.py", "resnet18/", "resnet18/__init__.py:Net"),
        ("ResNet_18/__init__.py", "ResNet_18/", "ResNet_18/__init__.py:Net"),
        ("resnet18/model.py", "resnet18/", "resnet18/model.py:Net"),
    ],
)
def test_a_sample_model_never_stands_for_a_file_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, write: Write, file: str, places: str, written: str
) -> None:
    use(monkeypatch, "absent_vision", "absent_timm")
    write(file, NET)
    with pytest.raises(SpecError) as caught:
        find_model("resnet18")
    assert caught.value.message == f"resnet18 may mean {places} here or a sample model of modelstat"
    assert caught.value.hint == f"for yours write {written}; for the sample model sample_models/resnet18"
    assert type(find_model(written).build()).__name__ == "Net"
    assert find_model("sample_models/resnet18").notices == ()


def test_a_file_that_cannot_be_read_counts_as_well(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    use(monkeypatch, "absent_vision", "absent_timm")
    write("resnet18.py", "def (")
    with pytest.raises(SpecError, match=r"may mean resnet18\.py here") as caught:
        find_model("resnet18")
    assert "for yours write resnet18.py:factory;" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "file", ["resnet18.txt", "resnet18/weights.txt", "resnet18/train.py", "resnet181.py", "models/resnet18.py"]
)
def test_what_is_no_model_code_of_that_name_is_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch, write: Write, file: str
) -> None:
    use(monkeypatch, "absent_vision", "absent_timm")
    write(file, "def main(): ...\n")
    assert find_model("resnet18").notices == (SAMPLE_NOTICE,)


@pytest.mark.parametrize("place", [0, 1])
def test_a_library_wins_over_a_file_and_says_so(
    monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path, place: int
) -> None:
    write("a_library.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    use(monkeypatch, "absent_vision", "absent_timm")
    libraries = list(providers.PROVIDERS)
    libraries[place] = replace(
        libraries[place],
        package="a_library",
        catalog=providers.Catalog(lambda: ["resnet18"], lambda name: name == "resnet18", "a_library.NAMES"),
        find=lambda name, arguments, online: ModelSource(name, "a_library:build", lambda: nn.Linear(2, 2)),
    )
    monkeypatch.setattr(providers, "PROVIDERS", tuple(libraries))
    assert find_model("resnet18").notices == ()
    write("resnet18.py", NET)
    source = find_model("resnet18")
    assert source.resolved == "a_library:build"
    assert source.notices == (
        f"resnet18 is {libraries[place].prefix}'s model, not resnet18.py here; for yours write resnet18.py:Net",
    )
    assert find_model(f"{libraries[place].prefix}/resnet18").notices == ()


def test_the_cause_of_a_broken_library_goes_with_a_refusal(
    monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path
) -> None:
    write("broken_vision.py", "raise RuntimeError('operator torchvision::nms does not exist')\n")
    write("resnet18.py", NET)
    monkeypatch.syspath_prepend(tmp_path)
    use(monkeypatch, "broken_vision", "absent_timm")
    with pytest.raises(SpecError, match=r"may mean resnet18\.py here") as caught:
        find_model("resnet18")
    (notice,) = caught.value.notices
    assert notice.startswith("torchvision is installed but cannot be imported: operator torchvision::nms")


def test_an_error_of_the_factory_carries_the_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "absent_vision", "absent_timm")
    with pytest.raises(SpecError, match="has no argument 'n_channels'") as caught:
        find_model("resnet18", {"n_channels": 3})
    assert caught.value.notices == (SAMPLE_NOTICE,)


def test_a_name_that_only_a_file_has(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    use(monkeypatch, "absent_vision", "absent_timm")
    write("tagger.py", NET)
    with pytest.raises(SpecError, match="no model 'tagger'") as caught:
        find_model("tagger")
    assert caught.value.hint == "for yours write tagger.py:Net"


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
        (
            "sample_models/resnt18",
            "sample_models has no model 'resnt18'; did you mean resnet18",
            "its 20 models are called_three_times, data_dependent_branch, ",
        ),
        (
            "sample_models/",
            "sample_models has no model ''",
            "its 20 models are called_three_times, data_dependent_branch, ",
        ),
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


def of_my_library(name: str, arguments: Mapping[str, object], *, online: bool) -> ModelSource:
    return ModelSource(name, f"mylib:{name}", lambda: nn.Linear(2, 3))


MY_CATALOG = providers.Catalog(lambda: ["tagger", "parser"], lambda name: name in ("tagger", "parser"), "mylib.MODELS")
MY_LIBRARY = providers.Provider("mylib", "mylib", "pip install mylib", of_my_library, MY_CATALOG)
MY_FILES = providers.Provider("myfiles", "mylib", "pip install mylib", of_my_library)


@pytest.fixture
def two_more(monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path) -> None:
    """Two more entries: a library of named models, and one that takes paths."""
    write("mylib.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(providers, "PROVIDERS", (providers.SAMPLES, MY_LIBRARY, MY_FILES))


@pytest.mark.usefixtures("two_more")
def test_one_entry_makes_a_library() -> None:
    assert find_model("mylib/tagger").spec == "mylib/tagger"
    assert find_model("tagger").resolved == "mylib:tagger"
    assert find_model("myfiles/any/path.json").resolved == "mylib:any/path.json"


@pytest.mark.usefixtures("two_more")
@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("mylib/taggr", "mylib has no model 'taggr'; did you mean tagger?", "it has 2 models; mylib.MODELS lists them"),
        ("mylib/", "mylib has no model ''", "it has 2 models; mylib.MODELS lists them"),
        (
            "paser",
            "no model 'paser'; did you mean parser?",
            "asked sample_models, mylib; your own model is package.module:factory",
        ),
        (
            "nolib/tagger",
            "no model library 'nolib'",
            "libraries are sample_models/, mylib/, myfiles/; for a transformers model write hf/nolib/tagger",
        ),
    ],
)
def test_wrong_names_beside_an_entry_of_ones_own(spec: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        find_model(spec)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_no_bare_name_means_a_library_that_takes_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "PROVIDERS", (replace(MY_FILES, package="json"), providers.SAMPLES))
    with pytest.raises(SpecError, match="no model 'tagger'") as caught:
        find_model("tagger")
    assert caught.value.hint == "asked sample_models; your own model is package.module:factory"


def test_a_library_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "PROVIDERS", (replace(MY_FILES, package="absent_library"),))
    with pytest.raises(SpecError, match="absent_library is not installed") as caught:
        find_model("myfiles/config.json")
    assert caught.value.hint == "pip install mylib"
