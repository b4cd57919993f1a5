"""What a victim reads as its unknown token: counts, and texts that use such a word."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from robench import Example
from robench.evaluation.unknown_words import (
    OUTSIDE,
    SpaceCounts,
    UnknownWords,
    count_spaces,
    unknown_part,
)
from robench.protocol import get_protocol
from robench.records.unknown_part import PAIRS
from robench.search.attack import Change, Trial, Verdict
from robench.testing.victims import FakeVictim
from robench.text.sources import WithoutPairs
from robench.text.substitutions import SubstitutionSet
from robench.text.surface import Surface
from robench.text.surface_building import SurfaceRequest, build_surface

EXAMPLES = [
    Example("t/1", {"text": "a good film"}, 1),
    Example("t/2", {"text": "odd film good"}, 0),
]
SUBSTITUTIONS = SubstitutionSet(
    "t", "5" * 64, {"good": ("fine", "zz"), "film": ("movie",), "odd": ("fine", "zz")}
)
VICTIM: Any = FakeVictim({"good": [0, 1]}, ["a", "film", "fine", "movie"])


class Narrow:
    """The first two words are visible."""

    no_unknown_words = ""

    def visible(self, words: Any, texts: Any) -> int:
        return 2

    def unknown_words(self, words: Any) -> frozenset[str]:
        return frozenset({"zz", "odd"} & set(words))


class Silent(Narrow):
    """It cannot tell."""

    no_unknown_words = "the tokenizer has no unknown token"

    def unknown_words(self, words: Any) -> Any:
        return None


def surface() -> Surface:
    return build_surface(
        SurfaceRequest(
            EXAMPLES, "text", "t", "d", SUBSTITUTIONS, get_protocol("rift2021"), None, 300
        )
    )


def reader(fields: Any) -> Any:
    return SimpleNamespace(attackable="text", encoder_fields=fields)


def trial(example: Example, verdict: Verdict, **values: Any) -> Trial:
    return Trial(id=example.id, verdict=verdict, label=example.label, prediction=0, **values)


def test_words_substitutes_and_positions_are_counted() -> None:
    unknown = UnknownWords(surface(), EXAMPLES, VICTIM, 5.0)
    assert unknown.words == frozenset({"odd", "zz"})
    # "odd" is unknown itself, so no swap turns it into the unknown token.
    assert unknown.counts(constrained=False) == SpaceCounts(6, 1, 8, 3, 5, 2)


def test_words_outside_the_window_do_not_count() -> None:
    counts = count_spaces(
        surface(),
        EXAMPLES,
        reader(Narrow()),
        frozenset({"zz", "odd"}),
        constrained=False,
        threshold=5.0,
    )
    assert counts == SpaceCounts(4, 1, 5, 2, 3, 1)


def test_held_out_substitutes_that_look_like_the_own_set_are_counted() -> None:
    # The victim knows neither "qq" nor "yy", "zz" nor "odd".
    own = SubstitutionSet("own", "6" * 64, {"good": ("qq",), "yy": ("Fine", "x"), "a": ("movie",)})
    source = WithoutPairs(SUBSTITUTIONS, [own])
    counts = UnknownWords(surface(), EXAMPLES, VICTIM, 5.0, source).counts(constrained=False)
    # "good" -> "zz" twice, "odd" -> "zz", which changes nothing, and "odd" -> "fine".
    assert counts == SpaceCounts(6, 1, 8, 3, 5, 2, like_own=4, like_own_known=1)
    part = unknown_part(counts, [], [], VICTIM, outside=False)
    assert (part.like_own, part.like_own_known) == (4, 1)


def test_other_sets_are_not_compared_with_the_own_one() -> None:
    counts = UnknownWords(surface(), EXAMPLES, VICTIM, 5.0, SUBSTITUTIONS).counts(constrained=False)
    assert counts is not None
    assert (counts.like_own, counts.like_own_known) == (None, None)


def test_the_counts_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = UnknownWords(surface(), EXAMPLES, VICTIM, 5.0)
    first = unknown.counts(constrained=False)
    monkeypatch.setattr("robench.evaluation.unknown_words.count_spaces", None)
    assert unknown.counts(constrained=False) is first


def test_successes_with_an_unknown_word_are_counted() -> None:
    known = Change(position=1, original="good", substitute="fine")
    new = Change(position=1, original="good", substitute="zz")
    trials = [
        trial(EXAMPLES[0], Verdict.FOOLED, changes=(new,)),
        trial(EXAMPLES[1], Verdict.FOOLED, changes=(known,)),
    ]
    counts = SpaceCounts(6, 1, 8, 3, 5, 2)
    part = unknown_part(counts, trials, EXAMPLES, VICTIM, outside=False)
    assert (part.successes, part.successes_unknown) == (2, 1)
    assert (part.words_unknown, part.substitutes_unknown, part.positions_unknown) == (1, 3, 2)
    # A search that ended without success may have tried such a word.
    held = [trials[0].model_copy(update={"verdict": Verdict.HELD}), trials[1]]
    part = unknown_part(counts, held, EXAMPLES, VICTIM, outside=False)
    assert (part.successes, part.successes_unknown) == (1, 0)


def test_outside_the_surface_new_words_of_the_text_count() -> None:
    trials = [
        trial(EXAMPLES[0], Verdict.FOOLED, text="a goood film"),
        # Its unknown word was there before.
        trial(EXAMPLES[1], Verdict.FOOLED, text="odd movie good"),
    ]
    part = unknown_part(SpaceCounts(6, 1, 8, 3, 5, 2), trials, EXAMPLES, VICTIM, outside=True)
    assert (part.successes, part.successes_unknown, part.substitutes) == (2, 1, None)
    assert part.missing == {"substitutes": OUTSIDE, "positions": OUTSIDE}


def test_a_victim_that_cannot_tell_has_a_reason() -> None:
    silent = reader(Silent())
    unknown = UnknownWords(surface(), EXAMPLES, silent, 5.0)
    assert unknown.words is None
    assert unknown.counts(constrained=False) is None
    part = unknown_part(None, [], [], silent, outside=False)
    assert part.missing == dict.fromkeys(PAIRS, "the tokenizer has no unknown token")


def test_unknown_substitutes_can_be_left_out_of_a_space() -> None:
    stored = surface()
    space = stored.space("t/2", 3, False, 5.0, frozenset({"zz", "odd", "movie"}))
    # The unknown original word stays; a position without another option is not attackable.
    assert space.options == (("odd", "fine"), ("film",), ("good", "fine"))
    assert cast("list[int]", space.positions.tolist()) == [0, 2]


@pytest.mark.parametrize("choice", ["nltk", "embedded"])
def test_a_request_chooses_the_sentence_parameters(
    choice: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    from robench._base.errors import UsageError
    from robench.evaluation.chosen_punkt import with_chosen_punkt
    from robench.evaluation.request import build_request
    from robench.text.punkt import chosen_punkt

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.delenv("ROBENCH_PUNKT", raising=False)
    run = with_chosen_punkt(lambda request, suffix: chosen_punkt() + suffix)
    request = build_request(defenses=("x",), punkt=choice)
    if choice == "embedded":
        assert run(request, "!") == "embedded!"
    else:
        with pytest.raises(UsageError, match="--punkt nltk needs NLTK's own Punkt data"):
            run(request, "!")
    assert chosen_punkt() == "embedded"
