"""Saved files as specs: what can be run is run, weights are counted, and everything else is named for what it is."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.loading.files import write_safetensors, zeros
from torchstat_cli.errors import SpecError
from torchstat_cli.loading import find_model, place
from torchstat_cli.loading.saved import weights_in

# Conv 4*3*3*3 + 4, batch norm 4 + 4, linear 5*144 + 5
PARAMS = 112 + 8 + 725


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5)).eval()


IMAGES = torch.zeros(2, 3, 8, 8)


def test_an_exported_program_keeps_modules_and_inputs(model: nn.Module) -> None:
    torch.export.save(torch.export.export(model, (IMAGES,)), "model.pt2")
    live, saved = ms.profile(model, IMAGES), ms.profile("model.pt2")
    assert (saved.total.madds, saved.total.flops, saved.total.params) == (
        live.total.madds,
        live.total.flops,
        live.total.params,
    )
    assert {row.path: row.madds for row in saved.rows if row.madds} == {"0": 2 * 144 * 27, "3": 2 * 5 * 144}
    assert saved.provenance.placement == "meta"
    assert ms.profile("model.pt2", device="cpu").total.flops == live.total.flops
    assert torch.allclose(ms.load_model("model.pt2")(IMAGES + 1), model(IMAGES + 1))


def test_torchscript(model: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript old
        torch.jit.save(torch.jit.script(model), "script.pt")
    report = ms.profile("script.pt", input_shape=(2, 3, 8, 8))
    assert (report.total.params, report.total.madds) == (PARAMS, 2 * 144 * 27 + 2 * 5 * 144)


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])
def test_a_state_dict(model: nn.Module, archive: bool) -> None:
    torch.save(model.state_dict(), "weights.pth", _use_new_zipfile_serialization=archive)
    weights = weights_in("weights.pth")
    assert weights is not None
    # batch norm: a mean and a variance of 4, and one counter of int64
    assert (weights.params, weights.buffers, weights.nbytes) == (PARAMS, 9, 4 * (PARAMS + 8) + 8)
    assert {tensor.dtype for tensor in weights.tensors} == {"float32", "int64"}
    with pytest.raises(SpecError, match=r"holds weights alone \(a state dict\): 845 params in 3,420 bytes"):
        find_model("weights.pth")


def test_a_checkpoint_counts_the_model_alone(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW(model.parameters())
    model(IMAGES).sum().backward()
    optimizer.step()
    torch.save({"epoch": 3, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}, "last.ckpt")
    weights = weights_in("last.ckpt")
    assert weights is not None
    assert weights.params == PARAMS


def test_tied_tensors_count_once(model: nn.Module) -> None:
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tied[1].weight = tied[0].weight
    torch.save(tied.state_dict(), "tied.pt")
    weights = weights_in("tied.pt")
    assert weights is not None
    assert (weights.params, weights.nbytes, weights.tied) == (16, 64, ("1.weight",))


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])
def test_a_pickled_module_wants_permission(model: nn.Module, archive: bool) -> None:
    torch.save(model, "whole.pt", _use_new_zipfile_serialization=archive)
    with pytest.raises(SpecError, match=r"is a pickled object.* loading it runs code") as caught:
        find_model("whole.pt")
    assert "--allow-pickle" in (caught.value.hint or "")
    source = find_model("whole.pt", allow_pickle=True)
    assert source.notices == (
        "unpickling whole.pt ran the code that it names: allow it for files that you trust alone",
    )
    assert sum(parameter.numel() for parameter in place(source).model.parameters()) == PARAMS


def test_nothing_runs_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    maker = (
        "import os, torch\n"
        "class Evil:\n"
        "    def __reduce__(self): return os.system, ('touch ran',)\n"
        "torch.save({'w': Evil()}, 'evil.pt')\n"
    )
    subprocess.run([sys.executable, "-c", maker], cwd=tmp_path, check=True)
    for look in (find_model, weights_in):
        with pytest.raises(SpecError, match="pickled object"):
            look("evil.pt")
    assert not (tmp_path / "ran").exists()


def test_a_pickle_finds_classes_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from torch import nn\nclass Mine(nn.Linear):\n    pass\n")
    subprocess.run(
        [sys.executable, "-c", "import torch, mine; torch.save(mine.Mine(2, 3), 'mine.pt')"], cwd=tmp_path, check=True
    )
    words = ["-m", "torchstat_cli", "mine.pt", "--allow-pickle", "--input", "1,2", "--format", "csv"]
    root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path[0] = {root!r}; from torchstat_cli.cli.main import main; sys.exit(main({words[2:]!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ",Mine,leaf,1,1x2,1x3,float32,9," in done.stdout
    assert "unpickling mine.pt ran the code that it names" in done.stderr


def test_safetensors(model: nn.Module, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "m.safetensors", {"a.weight": zeros("BF16", 3, 4), "a.bias": zeros("F32", 3)})
    weights = weights_in("m.safetensors")
    assert weights is not None
    assert (weights.params, weights.nbytes) == (15, 36)
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in weights.tensors] == [
        ("a.weight", "bfloat16", (3, 4)),
        ("a.bias", "float32", (3,)),
    ]


def test_an_index_of_several_files(model: nn.Module, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "one.safetensors", {"a": zeros("F32", 3)})
    write_safetensors(tmp_path / "two.safetensors", {"b": zeros("F32", 5)})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    weights = weights_in(index.name)
    assert weights is not None
    assert weights.params == 8
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(SpecError, match="names 1 files that are not there"):
        weights_in(index.name)


def header(text: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xff" * 40, "its header has no possible length"),
        (b"\x01\x02", "its header has no possible length"),
        (header("[1, 2]"), "its header is no table"),
        (header("{broken"), "its header is no JSON"),
        (header('{"a": {"dtype": "F32"}}'), "incomplete or of an unknown dtype"),
        (header('{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}', bytes(4)), "unknown dtype"),
        (header('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', bytes(4)), "not as long as its shape"),
        (header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'), "not as long as its shape"),
        (header('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', bytes(4)), "no whole numbers"),
        (header('{"a": 7}'), "incomplete"),
        (header("[" * 100000), "no JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    ],
)
def test_damaged_safetensors(model: nn.Module, content: bytes, message: str) -> None:
    Path("bad.safetensors").write_bytes(content)
    with pytest.raises(SpecError, match=message):
        weights_in("bad.safetensors")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", b"\x08\x07", "model.onnx is an ONNX graph, which torch does not run"),
        ("model.tflite", b"x", "TensorFlow Lite"),
        ("model.gguf", b"GGUF", "llama.cpp"),
        ("model.h5", b"x", "Keras"),
        ("bad.pt", b"garbage", "is no file of torch.save"),
        ("bad.pt2", b"garbage", "is no program of torch.export"),
        ("cut.pth", b"PK\x03\x04cut", "is no file of torch.save"),
        ("pickle.bin", b"\x80\x04cut", "is a pickled object"),
    ],
)
def test_other_files(model: nn.Module, name: str, content: bytes, message: str) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(SpecError, match=message) as caught:
        find_model(name)
    assert caught.value.hint


def test_files_that_are_not_there(model: nn.Module) -> None:
    torch.save(model.state_dict(), "weights.pt")
    with pytest.raises(SpecError, match=r"no file wieghts.pt; did you mean weights.pt\?"):
        find_model("wieghts.pt")
    Path("folder.pt").mkdir()
    with pytest.raises(SpecError, match="is a folder"):
        find_model("folder.pt")
    torch.save({"a": 1}, "nothing.pt")
    with pytest.raises(SpecError, match="holds no tensors"):
        find_model("nothing.pt")
    with pytest.raises(SpecError, match="takes no arguments"):
        find_model("weights.pt", {"depth": 3})


def test_a_folder_with_a_configuration(model: nn.Module) -> None:
    Path("folder").mkdir()
    Path("folder/config.json").write_text("{}")
    for spec, written in (
        ("folder", "hf/folder"),
        ("./folder", "hf/./folder"),
        ("folder/", "hf/folder"),
        ("folder/config.json", "hf/folder/con"),
    ):
        with pytest.raises(SpecError) as caught:
            find_model(spec)
        assert f" {written}" in (caught.value.hint or "")
