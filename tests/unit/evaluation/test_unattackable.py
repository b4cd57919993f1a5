"""Examples without a word that may be replaced: their number and the sentence about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from robench import Example
from robench.evaluation.unattackable import count_unattackable, unattackable_remark
from robench.protocol import get_protocol
from robench.text.scorer import Ratios, Scorer, ScoringRequest
from robench.text.substitutions import SubstitutionSet
from robench.text.surface_building import SurfaceRequest, load_or_build

TEXTS = ("a good film", "a nice film", "the", "")
"""Two words with a substitute, of which the language model forbids one; then none, and no word."""


class OneForbidden(Scorer):
    """A scorer that finds "pretty" unlikely."""

    identity = "one-forbidden"

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        return [
            np.array([-8.0 if word == "pretty" else 0.0 for word in each.substitutes], np.float32)
            for each in requests
        ]


def test_examples_without_a_substitute_are_counted(tmp_path: Path) -> None:
    examples = [Example(f"t/{number}", {"text": text}, 0) for number, text in enumerate(TEXTS)]
    substitutions = SubstitutionSet("t", "5" * 64, {"good": ("fine",), "nice": ("pretty",)})
    request = SurfaceRequest(
        examples,
        "text",
        task="t",
        digest="d",
        substitutions=substitutions,
        protocol=get_protocol("rift2021"),
        scorer=OneForbidden(),
        max_words=300,
    )
    surface = load_or_build(tmp_path, request)

    def count(constrained: bool, threshold: float = 5.0) -> int:
        return count_unattackable(surface, examples, constrained=constrained, threshold=threshold)

    assert count(False) == 2
    assert count(True) == 3
    assert count(True, threshold=9.0) == 2
    with pytest.raises(KeyError):
        count_unattackable(
            surface, [Example("t/z", {"text": ""}, 0)], constrained=False, threshold=5.0
        )


@pytest.mark.parametrize(
    ("count", "constrained", "total", "start"),
    [
        (7, None, 25, "7 of 25 examples have no word that can be replaced: an attack"),
        (7, 7, 25, "7 of 25 examples have no word that can be replaced: an attack"),
        (0, 2, 25, "0 of 25 examples have no word that can be replaced (2 under the language"),
        (1, None, 1, "1 of 1 example has no word that can be replaced: an attack"),
    ],
)
def test_the_sentence_about_them(
    count: int, constrained: int | None, total: int, start: str
) -> None:
    remark = unattackable_remark(count, constrained, total)
    assert remark is not None
    assert remark.startswith(start)


def test_nothing_is_said_where_every_example_can_be_attacked() -> None:
    assert unattackable_remark(0, 0, 25) is None
    assert unattackable_remark(0, None, 25) is None
