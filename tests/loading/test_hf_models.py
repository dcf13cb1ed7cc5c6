"""transformers from tiny local configurations: class, dtype, usual inputs that the model takes, clear refusals."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.libraries import import_torchvision
from torchstat_cli.errors import InputError, SpecError
from torchstat_cli.loading import default_inputs, find_model, hf_models, place

pytestmark = pytest.mark.libraries
FIXTURES = Path(__file__).parents[1] / "fixtures"
Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def library() -> None:
    pytest.importorskip("transformers")
    import_torchvision()


@pytest.mark.parametrize(
    ("name", "class_name", "shapes"),
    [
        ("llama", "LlamaForCausalLM", {"input_ids": (1, 128)}),
        ("gpt2", "GPT2LMHeadModel", {"input_ids": (1, 64)}),
        ("bert", "BertForMaskedLM", {"input_ids": (1, 64)}),
        ("mixtral", "MixtralForCausalLM", {"input_ids": (1, 128)}),
        ("mamba", "MambaForCausalLM", {"input_ids": (1, 128)}),
        ("t5", "T5ForConditionalGeneration", {"input_ids": (1, 128), "decoder_input_ids": (1, 128)}),
        ("vit", "ViTForImageClassification", {"pixel_values": (1, 3, 32, 32)}),
        ("videomae", "VideoMAEForVideoClassification", {"pixel_values": (1, 4, 3, 32, 32)}),
        ("clip", "CLIPModel", {"input_ids": (1, 20), "pixel_values": (1, 3, 32, 32)}),
        ("llava", "LlavaForConditionalGeneration", {"input_ids": (1, 16 + 128), "pixel_values": (1, 3, 32, 32)}),
        ("whisper", "WhisperForConditionalGeneration", {"input_features": (1, 16, 100), "decoder_input_ids": (1, 24)}),
        ("wav2vec2", "Wav2Vec2ForCTC", {"input_values": (1, 16000)}),
        ("audio_spectrogram", "ASTForAudioClassification", {"input_values": (1, 64, 32)}),
    ],
)
def test_models_take_their_usual_inputs(name: str, class_name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    source = find_model(f"hf/{FIXTURES / name}")
    assert source.resolved == f"transformers:{class_name}"
    assert place(source).placement == "meta"
    model = place(source, "cpu").model.eval()
    dtype = next(model.parameters()).dtype
    inputs = default_inputs(source, device="cpu", dtype=dtype)
    assert inputs is not None
    assert {key: tuple(value.shape) for key, value in inputs.kwargs.items()} == shapes  # type: ignore[attr-defined]
    with torch.no_grad():
        model(**inputs.kwargs)


def test_the_configurations_dtype_and_size_are_honoured() -> None:
    model = place(find_model(f"hf/{FIXTURES / 'llama' / 'config.json'}")).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    # embedding and head 2·256·64; per layer q, o 2·64², k, v 2·64·32, mlp 3·64·128, two norms; a last norm
    assert sum(parameter.numel() for parameter in model.parameters()) == 2 * 256 * 64 + 2 * 36_992 + 64


def test_arguments_change_the_configuration() -> None:
    source = find_model(f"hf/{FIXTURES / 'llama'}", {"num_hidden_layers": 5, "attn_implementation": "eager"})
    model = place(source).model
    assert len(model.model.layers) == 5  # type: ignore[union-attr, arg-type]
    assert model.config._attn_implementation == "eager"  # type: ignore[union-attr]


def test_the_environment_is_as_before() -> None:
    before = dict(os.environ)
    find_model(f"hf/{FIXTURES / 'gpt2'}").build()
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("name", "arguments", "message", "hint"),
    [
        ("", {}, "hf/ names no model", "a config.json or its folder"),
        ("facebook/opt-125m", {}, "there is no file or folder facebook/opt-125m", "needs --online"),
        ("empty", {}, "the folder empty holds no config.json", "save_pretrained"),
        ("broken.json", {}, "broken.json is no JSON file", "config.json"),
        ("list.json", {}, "list.json names no model_type", "config.json"),
        ("untyped.json", {}, "untyped.json names no model_type", "config.json"),
        ("typo.json", {}, "knows no model type 'lama'; did you mean llama", "package.module:factory"),
        ("remote.json", {}, "knows no model type 'mine_own_kind'", "its code lies on the hub, which is never run"),
        ("class.json", {}, "wants 'LlamaForCasualLM', which transformers", "--arg architectures"),
        (
            "llama",
            {"num_hiden_layers": 2},
            "no value 'num_hiden_layers'; did you mean num_hidden_layers",
            "LlamaConfig",
        ),
        ("llama", {"weights": "x"}, "weights=x asks for pretrained weights", "leave --arg weights out"),
    ],
)
def test_refusals(write: Write, name: str, arguments: dict[str, object], message: str, hint: str) -> None:
    shutil.copytree(FIXTURES / "llama", "llama")
    write("empty/readme.txt", "")
    write("broken.json", "{")
    write("list.json", "[]")
    write("untyped.json", '{"hidden_size": 3}')
    write("typo.json", '{"model_type": "lama"}')
    write("remote.json", '{"model_type": "mine_own_kind", "auto_map": {"AutoModel": "mine.Mine"}}')
    write("class.json", '{"model_type": "llama", "architectures": ["LlamaForCasualLM"]}')
    with pytest.raises(SpecError) as caught:
        find_model(f"hf/{name}", arguments)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("architectures", "words"),
    [
        ("[5]", "wants 5, which transformers"),
        ("[null]", "wants None, which"),
        ('[["x"]]', "wants ['x'], which"),
        ("5", "wants 5, which"),
        ('{"a": 1}', "wants {'a': 1}, which"),
        ('"LlamaForCasualLM"', "lacks; did you mean LlamaForCausalLM"),
        ('["pipeline"]', "wants 'pipeline', which"),
        ('["AutoModel"]', "wants 'AutoModel', which"),
        ('["LlamaConfig"]', "does not have as a model"),
        ('["utils"]', "wants 'utils', which"),
        ('["__init__"]', "wants '__init__', which"),
        (f'["{"x" * 100_000}"]', f"wants '{'x' * 56}..., which"),
    ],
    ids=range(12),
)
def test_architectures_that_name_no_model(write: Write, architectures: str, words: str) -> None:
    write("config.json", f'{{"model_type": "llama", "architectures": {architectures}}}')
    with pytest.raises(SpecError) as caught:
        find_model("hf/config.json")
    assert words in caught.value.message
    assert len(caught.value.message) < 200
    assert caught.value.hint == 'change it with --arg architectures=["ClassName"]'


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, f'{{"model_type": {"1" * 5000}}}'], ids=range(3))
def test_hostile_json(write: Write, text: str) -> None:
    write("config.json", text)
    with pytest.raises(SpecError, match="is no JSON file") as caught:
        find_model("hf/config.json")
    assert len(caught.value.message) < 300


def test_a_size_that_no_usual_input_has(write: Write) -> None:
    """The model may still be built, and profiled with inputs that the user gives."""
    text = (FIXTURES / "vit" / "config.json").read_text().replace('"image_size": 32', '"image_size": -8')
    write("config.json", text)
    source = find_model("hf/config.json")
    with pytest.raises(InputError, match="the example inputs of hf/") as caught:
        default_inputs(source, device="cpu", dtype=torch.float32)
    assert "give --input" in (caught.value.hint or "")


def test_a_model_whose_libraries_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, config: object) -> object:
        raise ImportError("could not import") from RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(hf_models, "_model_class", broken)
    with pytest.raises(SpecError, match=r"cannot load the model of .*: operator torchvision::nms does not") as caught:
        find_model(f"hf/{FIXTURES / 'vit'}")
    assert caught.value.hint == "install the torch and torchvision of one release from the same package index"
