"""`IntermediateExtractor`: activation-extractor's documented behaviour, files to the byte, and its faults mended."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.activations.huggingface import import_transformers
from tests.activations.models import Dynamic, Staged, Wrapping
from torchstat_cli.activations import IntermediateExtractor, IntermediateExtractorBase
from torchstat_cli.errors import ModelError, OutputError, SelectionError

X = torch.linspace(-1, 1, 12).reshape(3, 4)
SEQUENCE = torch.linspace(-1, 1, 3 * 7 * 4).reshape(3, 7, 4)
LAYERS = ["stage.0.linear", "stage"]


def extracted(model: nn.Module, layers: list[str], *args: Any, **options: Any) -> IntermediateExtractor:
    extractor = IntermediateExtractor(model, layers, **options)
    extractor.register_hooks()
    model(*args)
    extractor.detach_hooks()
    return extractor


class TestBase:
    def test_the_last_output_of_each_layer(self) -> None:
        model = Staged().eval()
        extractor = IntermediateExtractorBase(model, LAYERS)
        assert extractor.register_hooks() is None
        model(X)
        outputs = extractor.get_outputs()
        assert outputs is extractor.intermediate_outputs
        assert list(outputs) == ["stage.0.linear", "stage"]
        # The in-place ReLU behind it does not reach the kept value, and no graph is kept.
        assert torch.equal(outputs["stage.0.linear"], model.stage[0].linear(X))
        assert not outputs["stage"].requires_grad
        model(X + 1)
        assert torch.equal(outputs["stage"], model.stage(X + 1))

    def test_registering_twice_registers_once(self) -> None:
        model = Staged()
        extractor = IntermediateExtractorBase(model, LAYERS)
        extractor.register_hooks()
        extractor.register_hooks()
        assert len(model.stage._forward_hooks) == 1
        assert list(extractor.hook_handles) == LAYERS
        extractor.detach_hooks()
        assert not model.stage._forward_hooks
        assert extractor.hook_handles == {}

    def test_other_peoples_hooks_stay(self) -> None:
        model = Staged()
        model.stage.register_forward_hook(lambda *_: None)
        extractor = IntermediateExtractorBase(model, LAYERS)
        extractor.register_hooks()
        extractor.clear_all_hooks()
        assert len(model.stage._forward_hooks) == 1

    def test_as_a_context(self) -> None:
        model = Staged()
        with IntermediateExtractorBase(model, ["type:Linear"]) as extractor:
            model(X)
        assert list(extractor.get_outputs()) == ["stage.0.linear", "stage.1.linear", "head"]
        assert not model.head._forward_hooks

    def test_live_outputs_on_request(self) -> None:
        model = Staged()
        with IntermediateExtractorBase(model, ["stage"], detach=False) as extractor:
            model(X)
        assert extractor.get_outputs()["stage"].requires_grad

    def test_compiled_earlier(self) -> None:
        torch._dynamo.reset()
        model = torch.compile(Staged().eval(), backend="eager")
        model(X)
        with IntermediateExtractorBase(model, LAYERS) as extractor:
            model(X)
        assert list(extractor.get_outputs()) == LAYERS
        torch._dynamo.reset()

    @pytest.mark.parametrize("layers", [[], ["absent"], ["layer1.0.conv1", "stage"], ["stage.grad"], ["op:add"]])
    def test_bad_lists(self, layers: list[str]) -> None:
        with pytest.raises(SelectionError):
            IntermediateExtractorBase(Staged(), layers)

    @pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
    def test_torchscript_is_refused(self) -> None:
        with pytest.raises(ModelError, match="TorchScript"):
            IntermediateExtractorBase(torch.jit.trace(Staged().eval(), X), ["stage"])


class TestArrays:
    @pytest.mark.parametrize(("kind", "expected"), [("list", 1.0), ("tuple", 1.0), ("dict", 1.0)])
    def test_the_first_tensor_of_a_structure(self, kind: str, expected: float) -> None:
        extractor = extracted(Wrapping(kind), ["transformer"], X)
        extractor.gpu_to_cpu()
        array = extractor.get_outputs()["transformer"]
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, (X + expected).numpy())

    def test_no_tensor_is_an_error(self) -> None:
        extractor = extracted(Staged(), ["head"], X)
        extractor.intermediate_outputs["head"] = ("text",)
        with pytest.raises(OutputError, match="'head' returned str, which holds no tensor"):
            extractor.gpu_to_cpu()

    @pytest.mark.parametrize(
        ("dtype", "expected"), [("bfloat16", "float32"), ("float8_e5m2", "float32"), ("float16", "float16")]
    )
    def test_dtypes(self, dtype: str, expected: str) -> None:
        extractor = extracted(Staged(), ["head"], X)
        extractor.intermediate_outputs["head"] = X.to(getattr(torch, dtype))
        extractor.gpu_to_cpu()
        assert str(extractor.get_outputs()["head"].dtype) == expected


class TestFiles:
    @pytest.mark.parametrize("save_method", ["numpy_compressed", "numpy"])
    def test_layout_and_bytes(self, tmp_path: Path, save_method: str) -> None:
        model = Staged().eval()
        extractor = extracted(model, LAYERS, SEQUENCE)
        values = {name: value.numpy() for name, value in extractor.get_outputs().items()}
        extractor.save_outputs(
            tmp_path / "out", "7", save_method=save_method, emb_formats=["LT", "FT", "mean", "custom", "full"],
            custom_position=2,
        )  # fmt: skip
        ending = "npz" if save_method == "numpy_compressed" else "npy"
        pools = {
            "LT": lambda array: array[:, -1],
            "FT": lambda array: array[:, 0],
            "mean": lambda array: np.mean(array, axis=1),
            "custom": lambda array: array[:, 2],
            "full": lambda array: array,
        }
        for emb_format, pool in pools.items():
            for name, value in values.items():
                expected = tmp_path / f"expected.{ending}"
                (np.savez_compressed if ending == "npz" else np.save)(expected, pool(value))
                written = tmp_path / "out" / emb_format / "7" / f"{name}.{ending}"
                assert written.read_bytes() == expected.read_bytes()
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert len(files) == len(pools) * len(values)
        for path in (tmp_path / "out").rglob("*"):
            assert not path.stat().st_mode & stat.S_IWOTH
        assert all(isinstance(value, np.ndarray) for value in extractor.get_outputs().values())

    def test_the_default_is_compressed_first_and_last_tokens(self, tmp_path: Path) -> None:
        extracted(Staged(), ["head"], SEQUENCE).save_outputs(tmp_path, "a")
        assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.npz")) == [
            "FT/a/head.npz",
            "LT/a/head.npz",
        ]
        with np.load(tmp_path / "LT/a/head.npz") as file:
            assert file.files == ["arr_0"]
            assert file["arr_0"].shape == (3, 2)

    def test_without_moving_the_outputs_stay_tensors(self, tmp_path: Path) -> None:
        extractor = extracted(Staged(), ["head"], SEQUENCE, detach=False)
        extractor.save_outputs(tmp_path, "a", move_to_cpu=False, emb_formats=["mean", "full"])
        assert isinstance(extractor.get_outputs()["head"], Tensor)
        with np.load(tmp_path / "full/a/head.npz") as file:
            assert file["arr_0"].shape == (3, 7, 2)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
    def test_narrow_floats(self, tmp_path: Path, dtype: torch.dtype) -> None:
        safetensors = pytest.importorskip("safetensors.torch")
        values = torch.randn(3, 7, 2).to(dtype)
        extractor = extracted(Staged(), ["head"], SEQUENCE)
        extractor.intermediate_outputs["head"] = values
        extractor.save_outputs(tmp_path, "a", save_method="safetensors", emb_formats=["full", "LT"])
        for name, expected in (("full", values), ("LT", values[:, -1])):
            loaded = safetensors.load_file(tmp_path / name / "a" / "head.safetensors")["arr_0"]
            assert loaded.dtype == dtype
            assert torch.equal(loaded.contiguous().view(torch.uint8), expected.contiguous().view(torch.uint8))
        extractor.save_outputs(tmp_path, "a", save_method="numpy", emb_formats=["full"])
        widened = np.load(tmp_path / "full/a/head.npy")
        np.testing.assert_array_equal(widened, values.float().numpy())
        assert json.loads((tmp_path / "full/a/dtypes.json").read_text()) == {"head": str(dtype)[6:]}

    def test_reset_deletes_only_what_is_ours(self, tmp_path: Path) -> None:
        extractor = extracted(Staged(), ["head"], SEQUENCE)
        folder = tmp_path / "out"
        extractor.save_outputs(folder, "old", emb_formats=["full"])
        extractor.save_outputs(folder, "new", reset=True, emb_formats=["LT"])
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.npz")) == ["LT/new/head.npz"]
        (folder / "thesis.txt").write_text("precious")
        with pytest.raises(OutputError, match=r"thesis\.txt"):
            extractor.save_outputs(folder, "new", reset=True)
        assert (folder / "LT/new/head.npz").exists()

    def test_reset_leaves_other_files_where_they_are(self, tmp_path: Path) -> None:
        extractor = extracted(Staged(), ["head"], SEQUENCE)
        extractor.save_outputs(tmp_path, "old", emb_formats=["mean"])
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "photo.jpg").write_text("precious")
        with pytest.raises(OutputError, match=r"photo\.jpg"):
            extractor.save_outputs(tmp_path, "new", reset=True, emb_formats=["mean"])
        assert (tmp_path / "full" / "photo.jpg").read_text() == "precious"
        assert (tmp_path / "mean" / "old" / "head.npz").exists()

    def test_nothing_is_reset_for_an_id_that_is_refused(self, tmp_path: Path) -> None:
        extractor = extracted(Staged(), ["head"], SEQUENCE)
        extractor.save_outputs(tmp_path, "old", emb_formats=["mean"])
        with pytest.raises(OutputError, match="cannot name a folder"):
            extractor.save_outputs(tmp_path, "../new", reset=True, emb_formats=["LT", "mean"])
        assert (tmp_path / "mean" / "old" / "head.npz").exists()

    def test_ids_may_be_nested(self, tmp_path: Path) -> None:
        extractor = extracted(Staged(), ["head"], SEQUENCE)
        extractor.save_outputs(tmp_path, "set/1", emb_formats=["mean"])
        assert (tmp_path / "mean" / "set" / "1" / "head.npz").exists()
        extractor.save_outputs(tmp_path, 2, reset=True, emb_formats=["mean"])  # type: ignore[arg-type]  # as in loops
        assert [path.name for path in (tmp_path / "mean").iterdir()] == ["2"]

    @pytest.mark.parametrize("link", ["mean", "mean/a"])
    def test_nothing_is_written_through_a_link(self, tmp_path: Path, link: str) -> None:
        (tmp_path / "elsewhere").mkdir()
        place = tmp_path / "out" / link
        place.parent.mkdir(parents=True)
        place.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OutputError, match="symbolic link"):
            extracted(Staged(), ["head"], SEQUENCE).save_outputs(tmp_path / "out", "a", emb_formats=["mean"])
        assert list((tmp_path / "elsewhere").iterdir()) == []

    @pytest.mark.parametrize("save_method", ["numpy_compressed", "numpy", "safetensors"])
    def test_names_that_hold_paths(self, tmp_path: Path, save_method: str) -> None:
        if save_method == "safetensors":
            pytest.importorskip("safetensors")
        names = ["en/de", "en%2Fde", "en\\de", "../../UP", str(tmp_path / "absolute"), "..", "a\0b", "x" * 300]
        model = nn.Sequential()
        for name in names:
            setattr(model, name, nn.Linear(4, 4))
        extractor = IntermediateExtractor(model, ["type:Linear"])
        with torch.no_grad(), extractor:
            model(SEQUENCE)
        extractor.save_outputs(tmp_path / "b" / "out", "id", save_method=save_method, emb_formats=["mean"])
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.parent for path in written} == {tmp_path / "b" / "out" / "mean" / "id"}
        assert len(written) == len(names)
        extractor.save_outputs(tmp_path / "b" / "out", "id", reset=True, emb_formats=["mean"])
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(names)

    def test_a_dictionary_of_language_pairs(self, tmp_path: Path) -> None:
        class Translators(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.pairs = nn.ModuleDict({"en/de": nn.Linear(4, 4), "en_de": nn.Linear(4, 4)})

            def forward(self, x: Tensor) -> Tensor:
                return self.pairs["en_de"](self.pairs["en/de"](x))

        model = Translators()
        extracted(model, ["pairs.en/de", "pairs.en_de"], SEQUENCE).save_outputs(tmp_path, "1", emb_formats=["full"])
        with np.load(tmp_path / "full" / "1" / "pairs.en%2Fde.npz") as file:
            np.testing.assert_array_equal(file["arr_0"], model.pairs["en/de"](SEQUENCE).detach().numpy())
        assert (tmp_path / "full" / "1" / "pairs.en_de.npz").exists()

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"save_method": "pickle"}, SelectionError),
            ({"emb_formats": ["LT", "max"]}, SelectionError),
            ({"emb_formats": ["custom"]}, SelectionError),
            ({"output_id": "../elsewhere"}, OutputError),
            ({"output_id": ""}, OutputError),
            ({"output_id": "."}, OutputError),
            ({"output_id": "a/../b"}, OutputError),
            ({"output_id": "/tmp/elsewhere"}, OutputError),
            ({"output_id": "a\0b"}, OutputError),
            ({"output_id": "\ud800"}, OutputError),
            ({"output_id": "a" * 300}, OutputError),
            ({"output_id": "a/" * 3000}, OutputError),
        ],
    )
    def test_bad_requests_write_nothing(self, tmp_path: Path, options: dict[str, Any], error: type[Exception]) -> None:
        extractor = extracted(Staged(), ["head"], SEQUENCE)
        with pytest.raises(error):
            extractor.save_outputs(tmp_path / "out", **{"output_id": "a", **options})
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    def test_a_named_layer_that_did_not_run(self, tmp_path: Path) -> None:
        model = Dynamic()
        nn.init.constant_(model.first.bias, 5.0)
        extracted(model, ["type:Linear"], X).save_outputs(tmp_path / "some", "a")
        assert not (tmp_path / "some/LT/a/last.npz").exists()
        named = extracted(model, ["first", "last"], X)
        for act in (named.gpu_to_cpu, lambda: named.save_outputs(tmp_path / "none", "a")):
            with pytest.raises(SelectionError, match="'last' was selected but never ran"):
                act()
        assert not (tmp_path / "none").exists()

    def test_nothing_kept_and_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SelectionError, match="nothing has been kept"):
            IntermediateExtractor(Staged(), ["head"]).save_outputs(tmp_path, "a")
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot make"):
            extracted(Staged(), ["head"], SEQUENCE).save_outputs(tmp_path / "file", "a")


@pytest.mark.libraries
class TestBert:
    """Padding in a real language model."""

    @pytest.fixture
    def bert(self) -> Any:
        transformers = import_transformers()
        torch.manual_seed(0)
        config = transformers.BertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=100
        )
        return transformers.BertModel(config).eval()

    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("emb_format", ["mean", "LT", "FT"])
    def test_padding_is_left_out(self, bert: Any, tmp_path: Path, side: str, emb_format: str) -> None:
        short, padding = torch.tensor([[7, 8, 9, 10]]), torch.zeros(1, 3, dtype=torch.long)
        parts = [short, padding] if side == "right" else [padding, short]
        mask = (torch.cat(parts, dim=1) > 0).long()
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        layer = "encoder.layer.1"
        extractor = IntermediateExtractor(bert, [layer])
        with torch.no_grad(), extractor:
            bert(input_ids=short)
            alone = extractor.get_outputs()[layer]
            bert(input_ids=torch.cat(parts, dim=1), attention_mask=mask, position_ids=positions)
        extractor.save_outputs(tmp_path, "0", emb_formats=[emb_format])
        expected = {"mean": alone.mean(1), "LT": alone[:, -1], "FT": alone[:, 0]}[emb_format]
        with np.load(tmp_path / emb_format / "0" / f"{layer}.npz") as file:
            np.testing.assert_allclose(file["arr_0"], expected.numpy(), atol=1e-6, rtol=0)

    def test_compat_pools_over_padding(self, bert: Any, tmp_path: Path) -> None:
        tokens = torch.tensor([[7, 8, 9, 0, 0]])
        extractor = IntermediateExtractor(bert, ["encoder.layer.1"], compat="activation-extractor")
        with torch.no_grad(), extractor:
            bert(input_ids=tokens, attention_mask=(tokens > 0).long())
        values = extractor.get_outputs()["encoder.layer.1"].numpy()
        extractor.save_outputs(tmp_path, "0", emb_formats=["mean", "LT"])
        for emb_format, expected in (("mean", values.mean(axis=1)), ("LT", values[:, -1])):
            with np.load(tmp_path / emb_format / "0" / "encoder.layer.1.npz") as file:
                np.testing.assert_array_equal(file["arr_0"], expected)

    def test_records_give_their_main_tensor(self, bert: Any) -> None:
        extractor = IntermediateExtractor(bert, [""])
        with torch.no_grad(), extractor:
            output = bert(input_ids=torch.tensor([[7, 8, 9]]))
        extractor.gpu_to_cpu()
        np.testing.assert_array_equal(extractor.get_outputs()[""], output.last_hidden_state.numpy())
