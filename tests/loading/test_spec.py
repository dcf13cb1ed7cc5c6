"""Specs that work, and at least twenty that do not: each says the cause in one sentence and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from torchstat_cli.errors import BuildError, SpecError
from torchstat_cli.loading import find_model, parse_arguments

Write = Callable[[str, str], Path]

USER_MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.fc = nn.Linear(3, width)
    @classmethod
    def wide(cls):
        return cls(width=8)

def net(width=4):
    return Net(width)

net.example_inputs = ["1,3"]
instance = Net(2)
number = 7
class Plain: pass

def needs(depth, width): return Net()
def breaks():
    raise ValueError("bad depth")
def nothing(): pass
def pair(): return Net(), 1
def weights(): return Net().state_dict()
def half_example(): return Net()
half_example.example_inputs = 12
def missing_package():
    import surely_not_installed
def leaves(): raise SystemExit(3)
"""


@pytest.fixture
def user(write: Write) -> Path:
    return write("user_models.py", USER_MODULE)


def weight_shape(spec: str, **arguments: object) -> tuple[int, ...]:
    module = find_model(spec, arguments).build()
    assert isinstance(module.fc, nn.Linear)
    return tuple(module.fc.weight.shape)


@pytest.mark.parametrize(
    ("spec", "arguments", "shape"),
    [
        ("user_models:net", {}, (4, 3)),
        ("user_models:net", {"width": 5}, (5, 3)),
        ("user_models:Net", {"width": 6}, (6, 3)),
        ("user_models:Net.wide", {}, (8, 3)),
        ("user_models:instance", {}, (2, 3)),
        ("user_models.py:net", {}, (4, 3)),
        ("./user_models.py:Net.wide", {}, (8, 3)),
    ],
)
def test_forms(user: Path, spec: str, arguments: dict[str, object], shape: tuple[int, ...]) -> None:
    assert weight_shape(spec, **arguments) == shape


def test_source_of_a_factory(user: Path) -> None:
    source = find_model("user_models:net")
    assert (source.spec, source.resolved, source.source) == ("user_models:net", "user_models:net", "user_models.py:13")
    assert source.example_inputs == ("1,3",)
    assert source.notices == ()


def test_torch_classes_are_specs() -> None:
    module = find_model("torch.nn:Linear", {"in_features": 3, "out_features": 2}).build()
    assert isinstance(module, nn.Linear)
    assert module.out_features == 2


BAD_SPECS = [
    ("", "the model spec is empty", "name a model"),
    ("   ", "the model spec is empty", "name a model"),
    (":net", "has no module before the colon", "package.module:factory"),
    ("user_models:", "has no factory after the colon", "package.module:factory"),
    ("user_models:nett", "user_models has no attribute 'nett'; did you mean net", "it defines Net, net"),
    ("user_models:Net.wid", "user_models:Net has no attribute 'wid'; did you mean wide", "it defines wide"),
    ("user_models:net()", "'net()' is no attribute path", "module:Class.method"),
    ("user_model:net", "no module named 'user_model'; did you mean user_models", "modules are looked up in"),
    ("torch.nnn:Linear", "no module named 'torch.nnn'; did you mean torch.nn", "modules are looked up in"),
    ("user models:net", "'user models' is no module name", "path/file.py:factory"),
    ("user_models:number", "is an int, not a model", "returns an nn.Module"),
    ("user_models:Plain", "is the class Plain, not a model", "returns an nn.Module"),
    ("user_models:nn", "is a module, not a model", "returns an nn.Module"),
    ("user_models:needs", "needs arguments: depth, width", "--arg depth=VALUE --arg width=VALUE"),
    ("user_models:half_example", "example_inputs of user_models:half_example is an int", '["1,3,224,224"]'),
    ("user_model.py:net", "no file user_model.py; did you mean user_models.py", "relative paths start at"),
    ("user_models.py", "names a file but no factory in it", "user_models.py:Net"),
    ("nowhere.py", "no file nowhere.py", "path/file.py:factory"),
    ("folder", "no model 'folder'", "your own model is package.module:factory"),
    ("./folder", "./folder is a folder, not a model", "./folder/model.py:factory"),
    ("./folder:net", "./folder is a folder, not a Python file", "./folder/model.py:factory"),
    ("./notes.txt", "./notes.txt is not a Python file", "path/file.py:factory"),
    ("./notes.txt:net", "./notes.txt is not a Python file", "path/file.py:factory"),
    ("facebook/opt", "no model library 'facebook'", "hf/facebook/opt"),
    ("user_models.net", "no model 'user_models.net'", "user_models:net"),
    ("syntax:net", "(syntax.py:2)", "correct the syntax"),
    ("wants:net", "No module named 'surely_not_installed' (wants.py:1)", "install surely_not_installed"),
    ("raising:net", "importing raising failed: RuntimeError: no GPU here (raising.py:2)", "importing the model's code"),
    (
        "raising.py:net",
        "importing raising.py failed: RuntimeError: no GPU here (raising.py:2)",
        "importing the model's",
    ),
    ("script:net", "importing script failed: SystemExit: 0 (script.py:2)", "__main__"),
]


@pytest.mark.parametrize(("spec", "message", "hint"), BAD_SPECS)
def test_bad_specs(user: Path, write: Write, only_samples: None, spec: str, message: str, hint: str) -> None:
    write("folder/readme.txt", "")
    write("notes.txt", "")
    write("syntax.py", "x = 1\ndef net(:\n")
    write("wants.py", "import surely_not_installed\n")
    write("raising.py", "\nraise RuntimeError('no GPU here')\n")
    write("script.py", "\nraise SystemExit(0)\n")
    with pytest.raises(SpecError) as caught:
        find_model(spec)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "\n" not in caught.value.message


@pytest.fixture
def only_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model library is installed."""
    from torchstat_cli.loading import providers

    monkeypatch.setattr(providers, "PROVIDERS", (providers.SAMPLES,))


@pytest.mark.parametrize(
    ("spec", "arguments", "message", "hint"),
    [
        ("user_models:net", {"widht": 3}, "has no argument 'widht'; did you mean width?", "it takes width"),
        ("user_models:Net.wide", {"width": 3}, "has no argument 'width'", "it takes no arguments"),
        ("user_models:instance", {"width": 3}, "is a finished Net and takes no arguments", "leave --arg out"),
    ],
)
def test_arguments_that_do_not_fit(
    user: Path, spec: str, arguments: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(SpecError) as caught:
        find_model(spec, arguments)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("user_models:breaks", "user_models:breaks raised ValueError: bad depth (user_models.py:23)", "call it once"),
        ("user_models:nothing", "user_models:nothing returned None instead of an nn.Module", "without a return"),
        ("user_models:pair", "returned a tuple instead of an nn.Module", "return the module alone"),
        ("user_models:weights", "returned an OrderedDict instead of an nn.Module", "weights only"),
        ("user_models:missing_package", "No module named 'surely_not_installed'", "install surely_not_installed"),
        ("user_models:leaves", "user_models:leaves raised SystemExit: 3", "call it once"),
    ],
)
def test_factories_that_fail(user: Path, spec: str, message: str, hint: str) -> None:
    with pytest.raises(BuildError) as caught:
        find_model(spec).build()
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_arguments_are_literals_or_strings() -> None:
    pairs = [
        "depth=12",
        "rate=0.5",
        "sizes=(1, 2)",
        "flag=True",
        "none=None",
        "name=relu",
        "path=a=b",
        "text='12'",
        "empty=",
    ]
    assert parse_arguments(pairs) == {
        "depth": 12,
        "rate": 0.5,
        "sizes": (1, 2),
        "flag": True,
        "none": None,
        "name": "relu",
        "path": "a=b",
        "text": "12",
        "empty": "",
    }


@pytest.mark.parametrize("pair", ["depth", "=3", "", "two words=1", "1st=2"])
def test_malformed_arguments(pair: str) -> None:
    with pytest.raises(SpecError, match="not of the form key=value") as caught:
        parse_arguments([pair])
    assert caught.value.hint == "write it as --arg depth=12"


def test_an_argument_given_twice() -> None:
    with pytest.raises(SpecError, match="'depth' is given twice"):
        parse_arguments(["depth=1", "depth=2"])


LONG = "a" * 300  # file systems stop at 255


@pytest.mark.parametrize(
    "spec",
    [
        LONG,
        f"./{LONG}.py",
        f"{LONG}.py:net",
        f"{LONG}:net",
        f"folder/{LONG}",
        f"hf/{LONG}",
        f"./{'b/' * 3000}x.py:net",
        "nul\0.py:net",
        "./nul\0",
        "hf/nul\0",
        "~nobody-of-that-name/net.py:net",
        "~nobody-of-that-name/net.py",
    ],
)
def test_names_that_no_file_system_takes(spec: str) -> None:
    with pytest.raises(SpecError):
        find_model(spec)
