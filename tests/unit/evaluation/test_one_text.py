"""Attacks on single texts: the window of a victim, and the choices of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from robench._base.errors import UsageError
from robench.evaluation.one_text import TextAttack, attack_texts, text_attack
from robench.models.given.function import FunctionVictim
from robench.protocol import get_protocol
from robench.search.attack import Verdict

LONG = "The house and the door were there when a superb evening came"


def judge(texts: Sequence[str]) -> list[list[float]]:
    """Say positive exactly where the word ``superb`` is."""
    return [[0.1, 0.9] if "superb" in text.split() else [0.9, 0.1] for text in texts]


def make_function() -> FunctionVictim:
    return FunctionVictim(judge, ("negative", "positive"), ("text",), "text", "mine")


def attack_on(victim: FunctionVictim, protocol: str = "subword", **values: Any) -> TextAttack:
    return text_attack(
        "pwws",
        victim,
        get_protocol(protocol),
        options={},
        own="mini",
        held_out="wordnet",
        substitutions=None,
        lm="none",
        data=None,
        budget=None,
        seed=0,
        **values,
    )


def test_a_function_is_attacked_beyond_its_first_words() -> None:
    victim = make_function()
    how = attack_on(victim)
    short, long = attack_texts(victim, [{"text": "superb"}, {"text": LONG}], how)
    assert [short.verdict, long.verdict] == [Verdict.FOOLED, Verdict.FOOLED]
    assert [change.original for change in long.changes] == ["superb"]


@pytest.mark.parametrize(
    ("protocol", "values"),
    [("subword", {"unknown": "forbidden"}), ("subword(unknown=forbidden)", {})],
)
def test_the_unknown_words_of_a_function_cannot_be_forbidden(
    protocol: str, values: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="'mine' does not say which words it knows"):
        attack_on(make_function(), protocol, **values)


def test_a_temperature_needs_the_examples_of_a_task() -> None:
    with pytest.raises(UsageError, match=r"single texts have none\. Leave 'temperature' out"):
        attack_on(make_function(), "subword(temperature=dev)")
