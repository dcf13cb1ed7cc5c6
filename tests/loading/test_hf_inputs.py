"""What is read from a configuration, on configurations as plain objects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from torchstat_cli.loading.hf_inputs import leaves_images_out, usual_inputs


class TextModel:
    main_input_name = "input_ids"

    def forward(self, input_ids: Any, pixel_values: Any = None) -> None: ...


class SeriesModel:
    main_input_name = "past_values"

    def forward(self, past_values: Any) -> None: ...


def test_text_is_short_and_holds_no_special_token() -> None:
    config = SimpleNamespace(max_position_embeddings=9, eos_token_id=[0, 1], pad_token_id=2)
    inputs = usual_inputs(TextModel, config)
    assert inputs is not None
    assert inputs["input_ids"].tolist() == [[3] * 9]


def test_an_image_takes_its_placeholders() -> None:
    vision = SimpleNamespace(image_size=32, patch_size=16)
    config = SimpleNamespace(model_type="llava", vision_config=vision, image_token_id=7, max_position_embeddings=2)
    inputs = usual_inputs(TextModel, config)
    assert inputs is not None
    assert inputs["input_ids"].tolist() == [[7, 7, 7, 7, 0, 0]]  # (32 / 16)² patches
    assert tuple(inputs["pixel_values"].shape) == (1, 3, 32, 32)
    assert not leaves_images_out(TextModel, config)


def test_without_a_placeholder_token_there_is_text_and_image() -> None:
    config = SimpleNamespace(model_type="blip-2", vision_config=SimpleNamespace(), num_query_tokens=4, n_positions=2)
    inputs = usual_inputs(TextModel, config)
    assert inputs is not None
    assert inputs["input_ids"].tolist() == [[0, 0]]


def test_other_multimodal_models_get_text_alone() -> None:
    assert leaves_images_out(TextModel, SimpleNamespace(model_type="qwen2_vl"))


def test_an_unknown_kind_of_input_has_no_usual_one() -> None:
    assert usual_inputs(SeriesModel, SimpleNamespace()) is None
