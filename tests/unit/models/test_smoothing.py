from __future__ import annotations

from typing import Any

import pytest

from robench.models.smoothing import Smoothing

VALID: list[dict[str, Any]] = [
    {"kind": "masking", "rate": 0.3},
    {"kind": "substitution", "neighbours": 8, "draws": 3, "answer": "votes", "seed": 4},
    {"kind": "hull", "neighbours": 8, "concentration": 0.5, "decay": 0.1},
]


@pytest.mark.parametrize("values", VALID)
def test_a_card_gives_the_same_smoothing_back(values: dict[str, Any]) -> None:
    smoothing = Smoothing(**values)
    card = smoothing.to_card()
    assert Smoothing.from_card(card) == smoothing
    assert set(card) == {"kind", "draws", "answer", "seed", *values}


@pytest.mark.parametrize("values", VALID)
def test_only_sets_of_words_need_substitutions(values: dict[str, Any]) -> None:
    assert Smoothing(**values).needs_substitutions == (values["kind"] != "masking")


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "dropout", "rate": 0.1},
        {"kind": "masking"},
        {"kind": "masking", "rate": 0.3, "neighbours": 5},
        {"kind": "masking", "rate": 0.0},
        {"kind": "masking", "rate": 1.0},
        {"kind": "masking", "rate": 0.3, "draws": 0},
        {"kind": "masking", "rate": 0.3, "seed": -1},
        {"kind": "masking", "rate": 0.3, "answer": "median"},
        {"kind": "substitution", "neighbours": 1},
        {"kind": "hull", "neighbours": 5, "concentration": 0.0, "decay": 0.1},
        {"kind": "hull", "neighbours": 5, "concentration": 1.0, "decay": 1.1},
        {"kind": "hull", "neighbours": 5},
    ],
)
def test_a_smoothing_that_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"smoothing|out of range"):
        Smoothing(**values)


def test_a_card_with_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError):
        Smoothing.from_card({"kind": "masking", "rate": 0.3, "colour": "red"})
