from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.loading.files import write_safetensors, zeros
from torchstat_cli.cli.main import main


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layers = {f"layers.{n}.weight": zeros("BF16", 4, 8) for n in range(3)}
    # 4 bits: 256 inputs of 8 outputs, 32 words of int32 per output
    packed = {"q.qweight": zeros("I32", 32, 8), "q.qzeros": zeros("I32", 2, 1), "q.scales": zeros("F16", 2, 8)}
    counter = {"bn.num_batches_tracked": zeros("I64")}
    write_safetensors(tmp_path / "w.safetensors", {**layers, **packed, **counter})


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "w.safetensors", "--units", "raw")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "layers.*.weight 4x8 bfloat16 3 96 192 B" in lines
    assert "q.weight 8x256 int32 (GPTQ, 4 bits) 1 2048 1064 B" in lines
    assert "params 2144, 1256 B" in lines
    assert "buffers 1, 8 B, known by their names" in lines
    assert "dtypes GPTQ, 4 bits 2048 in 1064 B, bfloat16 96 in 192 B, int64 1 in 8 B" in lines
    assert any(line.startswith("costs unknown: weights alone have no code") for line in lines)


def test_formats(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "w.safetensors", "--format", "json"))
    assert document["totals"] == {"params": 2144, "buffers": 1, "bytes": 1264}
    assert sum(tensor["nbytes"] for tensor in document["tensors"]) == 1264
    lines = run(capsys, "w.safetensors", "--format", "csv", "--filter", "layers.*", "--top", "2").splitlines()
    assert lines[0] == "name,shape,dtype,elements,bytes,is_buffer,packing"
    assert lines[1:] == ["layers.0.weight,4x8,bfloat16,32,64,False,", "layers.1.weight,4x8,bfloat16,32,64,False,"]
    run(capsys, "w.safetensors", "--output", "list.txt")
    assert "q.weight" in Path("list.txt").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--train",), "w.safetensors holds weights alone, and --train needs a model that runs"),
        (("--input", "1,3"), "--input needs a model"),
        (("--memory",), "--memory needs a model"),
        (("--depth", "1"), "--depth needs a model"),
        (("--format", "html"), "a list of weights is no html"),
        (("--filter", "nothing*"), "no tensor matches 'nothing*'"),
        (("--output", "/nowhere/at/all"), "cannot write"),
    ],
)
def test_misuse(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["w.safetensors", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "fit", "nodes", "explain"])
def test_other_commands_say_what_the_file_is(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"compare": ["w.safetensors"], "fit": ["--budget", "1GiB"]}
    assert main([command, "w.safetensors", *options.get(command, [])]) == 2
    error = capsys.readouterr().err
    assert "w.safetensors holds weights alone (safetensors): 2,144 params in 1,264 bytes" in error
