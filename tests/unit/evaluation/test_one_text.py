"""Texts of the user are attacked as a whole, whatever a victim calls its window."""

from __future__ import annotations

from collections.abc import Sequence

from robench.evaluation.one_text import attack_texts, text_attack
from robench.models.given.function import FunctionVictim
from robench.protocol import get_protocol
from robench.search.attack import Verdict

LONG = "The house and the door were there when a superb evening came"


def judge(texts: Sequence[str]) -> list[list[float]]:
    """Say positive exactly where the word ``superb`` is."""
    return [[0.1, 0.9] if "superb" in text.split() else [0.9, 0.1] for text in texts]


def test_a_function_is_attacked_beyond_its_first_words() -> None:
    victim = FunctionVictim(judge, ("negative", "positive"), ("text",), "text", "mine")
    how = text_attack(
        "pwws",
        victim,
        get_protocol("subword"),
        options={},
        own="mini",
        held_out="wordnet",
        substitutions=None,
        lm="none",
        data=None,
        budget=None,
        seed=0,
    )
    short, long = attack_texts(victim, [{"text": "superb"}, {"text": LONG}], how)
    assert [short.verdict, long.verdict] == [Verdict.FOOLED, Verdict.FOOLED]
    assert [change.original for change in long.changes] == ["superb"]
