"""Log-ratios computed by hand.

Only the output bias of the models is not zero, so that every probability is known.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from text_cases import tiny_model, whole_word_tokenizer

from robench.protocol import PROTOCOLS
from robench.tasks.example import Example
from robench.text.scorer import ScoringRequest
from robench.text.substitutions import SubstitutionSet
from robench.text.surface_building import SurfaceRequest, load_or_build
from robench.text.torch_scorers import CausalScorer, MaskedScorer

# Log-weights of the pieces: probability = exp(weight) / sum. The five special tokens have 0.
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
    """Set every weight of ``model`` to zero and its output bias to ``WEIGHTS``.

    The model then gives the same distribution everywhere.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.get_output_embeddings().bias.copy_(bias_of(tokenizer))
    return model


def bias_of(tokenizer: Any) -> torch.Tensor:
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return torch.tensor([WEIGHTS.get(piece, 0.0) for piece in pieces])


def test_one_piece_replaces_one_piece(tokenizer: Any) -> None:
    scorer = MaskedScorer(
        with_bias(tiny_model("bert", len(tokenizer), tokenizer), tokenizer), tokenizer
    )
    found = scorer.log_ratios([ScoringRequest(TEXT, 1, ("nice", "poor", "dull", "unheard"))])[0]
    assert found[:3].tolist() == pytest.approx([1.5 - 4, -1 - 4, -1.5 - 4], abs=1e-5)
    assert found[3] == -math.inf


def test_a_word_of_several_pieces_has_several_masks(tokenizer: Any) -> None:
    scorer = MaskedScorer(
        with_bias(tiny_model("bert", len(tokenizer), tokenizer), tokenizer), tokenizer
    )
    up, down = scorer.log_ratios(
        [
            ScoringRequest(TEXT, 1, ("decent", "decenter")),
            ScoringRequest(("the", "decent", "film"), 1, ("good", "decenter")),
        ]
    )
    # Each further piece subtracts one more normaliser.
    assert up.tolist() == pytest.approx(
        [2.5 + 0.5 - 4 - LOG_SUM, 2.5 + 0.5 - 0.5 - 4 - 2 * LOG_SUM], abs=1e-5
    )
    assert down.tolist() == pytest.approx([4 - 3 + LOG_SUM, -0.5 - LOG_SUM], abs=1e-5)


def test_a_causal_model_sums_the_word_and_what_follows(tokenizer: Any) -> None:
    class Biased(torch.nn.Module):
        """A model that answers with the bias, but after ``nice`` gives ``film`` 6 instead of 2."""

        def __init__(self) -> None:
            super().__init__()
            self.base_model = torch.nn.Identity()
            self.bias = torch.nn.Parameter(bias_of(tokenizer))

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
        [ScoringRequest(TEXT, 1, ("nice", "poor", "decent"))]
    )[0]
    boosted = math.log(math.exp(LOG_SUM) - math.exp(2) + math.exp(6))
    assert found.tolist() == pytest.approx(
        [1.5 - 4 + (6 - boosted) - (2 - LOG_SUM), -1 - 4, 2.5 + 0.5 - 4 - LOG_SUM], abs=1e-5
    )


def test_a_substitute_exactly_at_the_threshold_is_kept(tokenizer: Any, tmp_path: Path) -> None:
    """Jia et al. 2019 keep a substitute if log p(substitute) - log p(original) >= -5.

    The ratio of ``poor`` is exactly -5.
    """
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
    # The ratio of ``decent``, which is therefore not kept.
    assert 2.5 + 0.5 - 4 - LOG_SUM < -5
