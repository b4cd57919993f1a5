"""Attacks on single texts: the window of a victim, and the choices of the evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

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


class Carded:
    """A victim of which text attacks read the card and the device only."""

    device = "cpu"

    def __init__(self, **card: Any) -> None:
        self.card = card


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, str]:
    """Paths of the victim's own set, of the set that the user names, and of the held-out set."""
    content = {
        "trained": {"good": ["fine"]},
        "named": {"good": ["solid"]},
        "other": {"good": ["fine", "solid", "superb"]},
    }
    for name, listed in content.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(listed))
    return {name: str(tmp_path / f"{name}.json") for name in content}


def substitutes_of_good(
    victim: Any, sets: dict[str, str], *, named: bool, attack: str = "pwws@held-out"
) -> tuple[str, ...]:
    how = text_attack(
        attack,
        cast("Any", victim),
        get_protocol("subword"),
        options={},
        own=sets["trained"],
        held_out=sets["other"],
        substitutions=sets["named"] if named else None,
        lm="none",
        data=None,
        budget=None,
        seed=0,
    )
    return tuple(how.substitutions.of_text(("good",), "cased", 1)[0])


def test_the_set_of_the_training_is_held_out_beside_the_one_that_is_named(
    sets: dict[str, str],
) -> None:
    victim = Carded(substitutions=sets["trained"])
    assert substitutes_of_good(victim, sets, named=True) == ("superb",)
    assert substitutes_of_good(victim, sets, named=False) == ("solid", "superb")


def test_a_victim_without_a_card_was_trained_on_no_set_that_is_known(sets: dict[str, str]) -> None:
    assert substitutes_of_good(Carded(), sets, named=True) == ("fine", "superb")


def test_an_attack_on_the_named_set_searches_that_set_only(sets: dict[str, str]) -> None:
    victim = Carded(substitutions=sets["trained"])
    assert substitutes_of_good(victim, sets, named=True, attack="pwws") == ("solid",)


def slow(texts: Sequence[str]) -> list[list[float]]:
    """Answer as ``judge`` does; each long text takes a while."""
    time.sleep(0.2 * sum(len(text.split()) > 3 for text in texts))
    return judge(texts)


def test_a_search_beyond_its_time_is_an_error() -> None:
    names = ("negative", "positive")
    victim = FunctionVictim(slow, names, ("text",), "text", "mine")
    how = attack_on(victim, example_seconds=0.1)
    ((short,), (long,)) = (attack_texts(victim, [{"text": each}], how) for each in ("superb", LONG))
    assert long.verdict == Verdict.ERROR
    assert long.problem == "the search took longer than 0.1 s (--example-seconds)"
    assert short.verdict == Verdict.FOOLED


def test_what_is_no_time_limit_is_refused() -> None:
    with pytest.raises(UsageError, match="--example-seconds takes"):
        attack_on(make_function(), example_seconds=-1.0)
