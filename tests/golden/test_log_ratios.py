"""Log-ratios computed by hand: models whose output bias alone decides, so that every probability is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from text_cases import tiny_model, whole_word_tokenizer

from robench.protocol import PROTOCOLS
from robench.tasks.example import Example
from robench.text.scorer import Request
from robench.text.substitutions import SubstitutionSet
from robench.text.surface_building import SurfaceRequest, load_or_build
from robench.text.torch_scorers import CausalScorer, MaskedScorer

# Log-weights of the pieces; probability = exp(weight) / sum. [PAD] [UNK] [CLS] [SEP] [MASK] weigh 0.
WEIGHTS = {
    "the": 3.0,
    "film": 2.0,
    "good": 4.0,
    "nice": 1.5,
    "poor": -1.0,
    "dull": -1.5,
    "dec": 2.5,
    "##ent": 0.5,
    "##er": -0.5,
}
LOG_SUM = math.log(5 + sum(math.exp(weight) for weight in WEIGHTS.values()))
TEXT = ("the", "good", "film")


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    return whole_word_tokenizer(tmp_path, WEIGHTS)


def with_bias(model: Any, tokenizer: Any) -> Any:
    """``model`` with every weight zero and the output bias ``WEIGHTS``: the same distribution everywhere."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        bias = torch.tensor(
            [
                WEIGHTS.get(piece, 0.0)
                for piece in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
            ]
        )
        model.get_output_embeddings().bias.copy_(bias)
    return model


def test_one_piece_against_one_piece(tokenizer: Any) -> None:
    scorer = MaskedScorer(
        with_bias(tiny_model("bert", len(tokenizer), tokenizer), tokenizer), tokenizer
    )
    found = scorer.log_ratios([Request(TEXT, 1, ("nice", "poor", "dull", "unheard"))])[0]
    assert found[:3].tolist() == pytest.approx([1.5 - 4, -1 - 4, -1.5 - 4], abs=1e-5)
    assert found[3] == -math.inf


def test_several_pieces_are_several_masks(tokenizer: Any) -> None:
    scorer = MaskedScorer(
        with_bias(tiny_model("bert", len(tokenizer), tokenizer), tokenizer), tokenizer
    )
    up, down = scorer.log_ratios(
        [
            Request(TEXT, 1, ("decent", "decenter")),
            Request(("the", "decent", "film"), 1, ("good", "decenter")),
        ]
    )
    # One more piece costs one more normaliser.
    assert up.tolist() == pytest.approx(
        [2.5 + 0.5 - 4 - LOG_SUM, 2.5 + 0.5 - 0.5 - 4 - 2 * LOG_SUM], abs=1e-5
    )
    assert down.tolist() == pytest.approx([4 - 3 + LOG_SUM, -0.5 - LOG_SUM], abs=1e-5)


def test_a_causal_model_sums_the_word_and_what_follows(tokenizer: Any) -> None:
    class Biased(torch.nn.Module):
        """The bias as the answer after any piece, but after ``nice``, where ``film`` weighs 6 instead of 2."""

        def __init__(self) -> None:
            super().__init__()
            self.base_model = torch.nn.Identity()
            self.bias = torch.nn.Parameter(
                torch.tensor(
                    [
                        WEIGHTS.get(piece, 0.0)
                        for piece in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
                    ]
                )
            )

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            logits = self.bias.expand(*input_ids.shape, -1).clone()
            film, nice = tokenizer.convert_tokens_to_ids(["film", "nice"])
            logits[..., film] += 4.0 * (input_ids == nice)
            return self.base_model_output(logits)

        def base_model_output(self, logits: Any) -> Any:
            from types import SimpleNamespace

            hidden = self.base_model({"last_hidden_state": logits})
            return SimpleNamespace(logits=hidden["last_hidden_state"])

    found = CausalScorer(Biased(), tokenizer).log_ratios(
        [Request(TEXT, 1, ("nice", "poor", "decent"))]
    )[0]
    boosted = math.log(math.exp(LOG_SUM) - math.exp(2) + math.exp(6))
    assert found.tolist() == pytest.approx(
        [1.5 - 4 + (6 - boosted) - (2 - LOG_SUM), -1 - 4, 2.5 + 0.5 - 4 - LOG_SUM], abs=1e-5
    )


def test_the_constraint_on_the_surface(tokenizer: Any, tmp_path: Path) -> None:
    """Jia et al. 2019: kept if log p(substitute) - log p(original) >= -5; ``poor`` lies exactly there."""
    scorer = MaskedScorer(
        with_bias(tiny_model("bert", len(tokenizer), tokenizer), tokenizer), tokenizer
    )
    substitutions = SubstitutionSet(
        "golden", "0" * 64, {"good": ("nice", "poor", "dull", "decent", "unheard")}
    )
    examples = [Example("t/1", {"text": "the good film"}, 1)]
    surface = load_or_build(
        tmp_path / "s",
        SurfaceRequest(
            examples, "text", "t", "d", substitutions, PROTOCOLS["rift2021"], scorer, 300
        ),
    )
    assert surface.space("t/1", 3, True, 5.0).options[1] == ("good", "nice", "poor")
    assert surface.space("t/1", 3, True, 4.999).options[1] == ("good", "nice")
    assert surface.space("t/1", 3, False, 5.0).options[1] == (
        "good",
        "nice",
        "poor",
        "dull",
        "decent",
        "unheard",
    )
    assert 2.5 + 0.5 - 4 - LOG_SUM < -5  # why ``decent`` is not kept
