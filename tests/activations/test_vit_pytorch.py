"""`Extractor` and `Recorder` beside vit-pytorch's own, on vit-pytorch's models."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.libraries import import_torchvision
from torchstat_cli.activations import Extractor, Recorder
from torchstat_cli.errors import EjectedError

pytestmark = pytest.mark.libraries

SMALL = {"image_size": 32, "patch_size": 8, "num_classes": 5, "dim": 16, "mlp_dim": 32}


def model(file: str, name: str, **options: Any) -> nn.Module:
    """vit-pytorch's class ``name`` with random weights from a fixed seed; skips where the library is missing."""
    import_torchvision()
    pytest.importorskip("vit_pytorch")
    torch.manual_seed(0)
    made: nn.Module = getattr(import_module(f"vit_pytorch.{file}"), name)(**options)
    return made


def vit(**options: Any) -> nn.Module:
    """vit-pytorch's plain model: 16 patches and a class token."""
    return model("vit", "ViT", **{**SMALL, "depth": 3, "heads": 4, **options})


def images(count: int = 2, size: int = 32) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def original(name: str) -> Any:
    pytest.importorskip("vit_pytorch")
    return getattr(import_module(f"vit_pytorch.{name.lower()}"), name)


def tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)


class TestExtractor:
    @pytest.mark.parametrize("options", [{}, {"layer_save_input": True}, {"detach": False}, {"layer_name": "mlp_head"}])
    def test_output_and_latents(self, options: dict[str, Any]) -> None:
        output, latents = Extractor(vit(), **options)(images())
        expected_output, expected = original("Extractor")(vit(), **options)(images())
        assert torch.equal(output, expected_output)
        assert type(latents) is type(expected)
        for one, other in zip(tensors(latents), tensors(expected), strict=True):
            assert torch.equal(one, other)
            assert one.requires_grad == other.requires_grad

    def test_shapes(self) -> None:
        assert Extractor(vit())(images())[1].shape == (2, 17, 16)
        assert [value.shape for value in Extractor(vit(), layer_save_input=True)(images())[1]] == [(2, 17, 16)]

    def test_a_layer_object(self) -> None:
        ours, theirs = vit(), vit()
        expected = original("Extractor")(theirs, layer=theirs.transformer.layers[0][0])(images())[1]
        assert torch.equal(Extractor(ours, layer=ours.transformer.layers[0][0])(images())[1], expected)

    @pytest.mark.parametrize("always", [True, False])
    @pytest.mark.parametrize("now", [True, False])
    def test_embeddings_only(self, always: bool, now: bool) -> None:
        values = []
        for kind in (Extractor, original("Extractor")):
            values.append(kind(vit(), return_embeddings_only=always)(images(), now))
        assert type(values[0]) is type(values[1])
        assert isinstance(values[0], Tensor) is (always or now)

    def test_life_and_messages(self) -> None:
        seen: list[list[object]] = []
        for kind in (Extractor, original("Extractor")):
            inner = vit()
            extractor = kind(inner)
            states: list[object] = [_attributes(extractor), list(extractor.state_dict())]
            extractor(images())
            extractor(images())
            states += [_attributes(extractor), torch.is_tensor(extractor.latents)]
            extractor.clear()
            states += [extractor.latents, extractor.eject() is inner, extractor.eject() is inner]
            states += [_attributes(extractor), len(inner.transformer._forward_hooks)]
            for broken in (extractor, kind(inner, layer_name="absent")):
                with pytest.raises(AssertionError) as caught:
                    broken(images())
                states.append(str(caught.value).splitlines()[0].removesuffix(": 'absent'"))
            seen.append(states)
        assert seen[0] == seen[1]

    def test_cross_vit_gives_a_tuple(self) -> None:
        small = {"sm_dim": 16, "sm_patch_size": 4, "sm_enc_depth": 1, "sm_enc_heads": 2, "sm_enc_mlp_dim": 8}
        large = {"lg_dim": 24, "lg_patch_size": 8, "lg_enc_depth": 1, "lg_enc_heads": 2, "lg_enc_mlp_dim": 8}
        sizes = {"image_size": 32, "num_classes": 5, "depth": 1, "cross_attn_depth": 1, "cross_attn_heads": 2}
        cross = model("cross_vit", "CrossViT", **sizes, **small, **large).eval()
        values = [
            kind(copy.deepcopy(cross), layer_name="multi_scale_encoder")(images(1))[1]
            for kind in (Extractor, original("Extractor"))
        ]
        assert [tuple(value.shape) for value in values[0]] == [(1, 65, 16), (1, 17, 24)]
        assert all(torch.equal(one, other) for one, other in zip(*values, strict=True))

    def test_a_wrapper_for_videos_takes_ours(self) -> None:
        video = torch.randn(2, 3, 4, 32, 32)
        wrapper = model("accept_video_wrapper", "AcceptVideoWrapper", image_net=Extractor(vit()))
        logits, embeddings = wrapper(video)
        assert logits.shape == (2, 4, 5)
        assert embeddings.shape == (2, 4, 17, 16)
        assert torch.equal(embeddings[:, 1], Extractor(vit())(video[:, :, 1])[1])

    def test_inputs_without_a_device(self) -> None:
        packing = model("na_vit", "NaViT", **SMALL, depth=1, heads=2)
        assert Extractor(packing)([[images(1)[0]]])[1].shape == (1, 16, 16)


def _attributes(extractor: Any) -> tuple[object, ...]:
    return len(extractor.hooks), extractor.hook_registered, extractor.ejected, extractor.data


class TestRecorder:
    @pytest.mark.parametrize("training", [True, False])
    def test_vit(self, training: bool) -> None:
        transformer = vit(dropout=0.5).train(training)
        recorder = Recorder(transformer)
        torch.manual_seed(1)
        output, maps = recorder(images())
        torch.manual_seed(1)
        expected_output, expected = original("Recorder")(copy.deepcopy(transformer))(images())
        assert maps.shape == (2, 3, 4, 17, 17)
        assert torch.equal(maps, expected)
        assert torch.equal(output, expected_output)
        torch.testing.assert_close(maps.sum(-1), torch.ones(2, 3, 4, 17))
        assert recorder.names == [f"transformer.layers.{block}.0" for block in range(3)]
        assert recorder(images())[1].shape == maps.shape

    def test_t2t_records_its_main_transformer(self) -> None:
        layers = ((7, 4), (3, 2), (3, 2))
        sizes = {"image_size": 64, "num_classes": 5, "dim": 16, "depth": 2, "heads": 2, "mlp_dim": 32}
        tokens = model("t2t", "T2TViT", **sizes, t2t_layers=layers).eval()
        maps = Recorder(tokens)(images(1, 64))[1]
        assert maps.shape == (1, 2, 2, 17, 17)
        assert torch.equal(maps, original("Recorder")(copy.deepcopy(tokens))(images(1, 64))[1])

    def test_depth_0_is_none(self) -> None:
        assert Recorder(vit(depth=0))(images())[1] is None

    def test_the_end(self) -> None:
        messages = []
        for kind in (Recorder, original("Recorder")):
            recorder = kind(vit())
            recorder(images())
            recorder.clear()
            assert (recorder.recordings, recorder.data) == ([], None)
            recorder.eject()
            with pytest.raises(AssertionError) as caught:
                recorder(images())
            messages.append(str(caught.value).splitlines()[0])
        assert messages[0] == messages[1]
        assert caught.type is not EjectedError

    @pytest.mark.parametrize(
        ("file", "name", "shape"),
        [
            ("simple_vit", "SimpleViT", (2, 2, 2, 16, 16)),
            ("simple_flash_attn_vit", "SimpleViT", (2, 2, 2, 16, 16)),
            ("deepvit", "DeepViT", (2, 2, 2, 17, 17)),
            ("parallel_vit", "ViT", (2, 4, 2, 17, 17)),
            ("vit_for_small_dataset", "ViT", (2, 2, 2, 17, 17)),
        ],
    )
    @pytest.mark.filterwarnings("ignore:.*sdp_kernel:FutureWarning")
    def test_models_on_which_the_original_records_nothing(self, file: str, name: str, shape: tuple[int, ...]) -> None:
        transformer = model(file, name, **SMALL, depth=2, heads=2).eval()
        assert original("Recorder")(copy.deepcopy(transformer))(images())[1] is None
        maps = Recorder(transformer)(images())[1]
        assert maps.shape == shape
        torch.testing.assert_close(maps.sum(-1), torch.ones(shape[:-1]))

    def test_maps_of_several_shapes(self) -> None:
        maps = Recorder(model("cait", "CaiT", **SMALL, depth=2, heads=2, cls_depth=1))(images())[1]
        assert [tuple(value.shape) for value in maps.values()] == [(2, 2, 16, 16)] * 2 + [(2, 2, 1, 17)]
