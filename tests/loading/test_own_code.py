"""Which spec is suggested for a file or package: what no class of it uses, and all others after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from torchstat_cli.errors import SpecError
from torchstat_cli.loading import find_model
from torchstat_cli.loading.own_code import code_at, own_code

Write = Callable[[str, str], Path]

UNET = """
import torch
from torch import nn

def train(model):
    return torch.optim.SGD(model.parameters(), 0.1)

class DoubleConv(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(inner, outer, 3), nn.ReLU())

class UNet(nn.Module):
    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.down = Down(n_channels, 64)

class Down(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.conv = DoubleConv(inner, outer)
"""

BLOCKS = """
def conv3x3(inner, outer): return nn.Conv2d(inner, outer, 3)
class BasicBlock(nn.Module):
    def __init__(self): self.conv = conv3x3(1, 1)
class ResNet(nn.Module):
    def __init__(self, block, layers): ...
def _resnet(block): return ResNet(block, [1])
def resnet18(): return _resnet(BasicBlock)
"""


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("unet.py", UNET, "unet.py:UNet (also DoubleConv, Down)"),
        ("network.py", UNET, "network.py:UNet (also DoubleConv, Down)"),
        # A part may come last, and a loss is no model.
        ("net.py", f"{UNET}\nclass DiceLoss(nn.Module): ...\n", "net.py:UNet (also DoubleConv, Down, DiceLoss)"),
        # The class of the file's name is meant, although another inherits from it.
        ("unet.py", f"{UNET}\nclass Small(UNet): ...\n", "unet.py:UNet (also DoubleConv, Down, Small)"),
        # Who only handles models makes none of them a part.
        (
            "net.py",
            f"{UNET}\nclass DiceLoss(nn.Module): ...\nclass Trainer:\n    def __init__(self): self.net = UNet(3, 2)\n",
            "net.py:UNet (also DoubleConv, Down, DiceLoss)",
        ),
        # One that wraps it is what no other class uses.
        (
            "unet.py",
            f"{UNET}\nclass Lit(LightningModule):\n    def __init__(self): self.net = UNet(3, 2)\n",
            "unet.py:Lit (also DoubleConv, UNet, Down)",
        ),
        # Blocks are handed over, so that no class names them; the file's name does.
        ("resnet.py", BLOCKS, "resnet.py:ResNet (also conv3x3, BasicBlock, resnet18)"),
        ("resnet18.py", BLOCKS, "resnet18.py:resnet18 (also conv3x3, BasicBlock, ResNet)"),
        # A class comes before a function that builds it.
        ("model.py", "class Net(nn.Module): ...\ndef build(): return Net().eval()\n", "model.py:Net (also build)"),
        ("model.py", "from x import Net\ndef helper(): ...\ndef build(): ...\n", "model.py:build (also helper)"),
        # Factories alone: through a variable, an annotation, a container; what returns numbers is none.
        (
            "make.py",
            "def loss(y): return y.sum()\n"
            "def one():\n    model = nn.Sequential()\n    return model\n"
            "def two() -> nn.Module: ...\n"
            "def three(): return Sequential(x)\n",
            "make.py:three (also one, two)",
        ),
        ("ready.py", "from torch import nn\nmodel = nn.Linear(2, 2)\nlimit = 3\n", "ready.py:model"),
        # Neither a data set, a record nor an operator of autograd.
        (
            "mixed.py",
            "class Images(Dataset): ...\nclass Config: ...\n"
            "class Round(torch.autograd.Function):\n    def forward(ctx, x): ...\n"
            "class Data(LightningDataModule): ...\n"
            "class Net(ResNet):\n    def __init__(self): self.fc = nn.Linear(1, 1)\n",
            "mixed.py:Net",
        ),
        ("hidden.py", "class _Block(nn.Module): ...\nclass Net(nn.Module): ...\n", "hidden.py:Net"),
        ("tried.py", "try:\n    import x\n    class Net(nn.Module): ...\nexcept ImportError: ...\n", "tried.py:Net"),
        ("script.py", "if __name__ == '__main__':\n    class Net(nn.Module): ...\n", "script.py:factory"),
        ("empty.py", "", "empty.py:factory"),
        ("broken.py", "def (", "broken.py:factory"),
        ("bytes.py", "\x00", "bytes.py:factory"),
    ],
)
def test_what_is_suggested_for_a_file(write: Write, name: str, text: str, words: str) -> None:
    write(name, text)
    assert code_at(Path(name)).words == words
    with pytest.raises(SpecError, match=f"{name} names a file but no factory in it") as caught:
        find_model(name)
    assert caught.value.hint == f"write it as {words}"


def test_long_lists_are_cut(write: Write) -> None:
    write("zoo.py", "".join(f"class Net{letter}(nn.Module): ...\n" for letter in "ABCDEFGHIJKL"))
    assert code_at(Path("zoo.py")).words == ("zoo.py:NetL (also NetA, NetB, NetC, NetD, NetE, NetF, NetG, NetH, …)")


def test_a_package_whose_parts_lie_in_other_files(write: Write) -> None:
    write("unet/__init__.py", "from .net import UNet\n")
    write("unet/net.py", "from .parts.conv import Conv\nclass UNet(nn.Module):\n    def __init__(self): Conv()\n")
    write("unet/parts/__init__.py", "")
    write("unet/parts/conv.py", "class Conv(nn.Module): ...\n")
    write("unet/data/unrelated.py", "class Other(nn.Module): ...\n")
    (package,) = own_code("unet")
    assert (package.place, package.specs) == ("unet/", ("unet/net.py:UNet", "unet/parts/conv.py:Conv"))
    for text in ("unet/", "./unet"):
        with pytest.raises(SpecError, match="is a folder, not a model") as caught:
            find_model(text)
        assert f"name a model in it: {text.rstrip('/')}/net.py:UNet" in (caught.value.hint or "")


def test_several_of_one_name(write: Write) -> None:
    write("U-Net.py", UNET)
    write("unet.py", UNET)
    write("unet/__init__.py", "")
    assert [code.place for code in own_code("unet")] == ["unet/", "unet.py", "U-Net.py"]
    assert own_code("unet")[0].words == "unet:factory"


def test_nothing_is_run(write: Write) -> None:
    write("unet.py", f"{UNET}\nraise SystemExit(3)\n")
    assert own_code("unet")[0].specs[0] == "unet.py:UNet"


def test_compiled_code_is_named_as_a_module(write: Write) -> None:
    write("unet.pyc", "")
    assert own_code("unet")[0].words == "unet:factory"


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert own_code("unet") == []
