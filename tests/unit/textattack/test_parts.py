"""The surface as parts of TextAttack: which words may stand at which position."""

from __future__ import annotations

import logging.config
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim
from textattack_cases import textattack_or_skip

from robench import ATTACKS, Attack, BudgetSpent, Choice, Example, Oracle, SearchSpace
from robench._base.errors import UsageError
from robench.methods.textattack import installed
from robench.search.jobs import Job
from robench.text.words import split_words

TEXT = 'It isn\'t "bad", the film: a good film.'
FREE = {
    "film": ("film", "movie", "picture"),
    "good": ("good", "fine"),
    "n't": ("n't", "not"),
    "bad": ("bad", "poor"),
}
BOUND = FREE | {"film": ("film", "movie"), "good": ("good",)}


def job(options: Mapping[str, Sequence[str]], **context: str) -> Job:
    words = tuple(split_words(TEXT))
    space = SearchSpace(
        words, tuple(tuple(options.get(word, (word,))) for word in words), len(words)
    )
    return Job(
        Example("x/1", {**context, "text": TEXT}, 0),
        {"text": words, **{name: split_words(text) for name, text in context.items()}},
        space,
    )


@pytest.fixture
def parts() -> Any:
    textattack_or_skip()
    import robench.textattack

    return robench.textattack


def surface(parts: Any, **context: str) -> Any:
    return parts.TextSurface([job(FREE, **context)], [job(BOUND, **context)], "text")


def attacked_text(**columns: str) -> Any:
    from textattack.shared import AttackedText

    return AttackedText(OrderedDict(columns))


def test_options_have_textattacks_own_word_numbers(parts: Any) -> None:
    text = attacked_text(text=TEXT)
    assert text.words == ["It", "isn't", "bad", "the", "film", "a", "good", "film"]
    assert surface(parts).options(text, False) == {
        2: ("bad", "poor"),
        4: FREE["film"],
        6: ("good", "fine"),
        7: FREE["film"],
    }
    assert surface(parts).options(text, True) == {
        2: ("bad", "poor"),
        4: ("film", "movie"),
        7: ("film", "movie"),
    }


def test_words_of_another_field_are_never_offered(parts: Any) -> None:
    pair = surface(parts, premise="A good film?")
    text = attacked_text(premise="A good film?", text=TEXT)
    assert sorted(pair.options(text, False)) == [5, 7, 9, 10]


def test_a_text_outside_the_examples_is_refused(parts: Any) -> None:
    with pytest.raises(UsageError, match=r"^The text 'A good film…' is not in the surface\."):
        surface(parts).options(attacked_text(text="A good film"), True)


def test_the_swap_offers_each_other_option_once(parts: Any) -> None:
    swap = parts.SurfaceSwap(surface(parts))
    text = attacked_text(text=TEXT)
    assert [new.text for new in swap(text, indices_to_modify={4, 6})] == [
        TEXT.replace("film:", "movie:"),
        TEXT.replace("film:", "picture:"),
        TEXT.replace("good", "fine"),
    ]
    changed = text.replace_word_at_index(4, "movie")
    assert [new.words[4] for new in swap(changed, indices_to_modify={4})] == ["film", "picture"]
    assert [
        new.words[4]
        for new in parts.SurfaceSwap(surface(parts), constrained=True)(text, indices_to_modify={4})
    ] == ["movie"]


def test_the_constraint_uses_the_original_context(parts: Any) -> None:
    original, constraint = attacked_text(text=TEXT), parts.SurfaceConstraint(surface(parts))
    verdicts = {}
    for words in (["movie"], ["picture"], ["movie", "fine"], ["bliss"]):
        new = original.replace_words_at_indices([4, 6][: len(words)], words)
        new.attack_attrs["last_transformation"] = parts.SurfaceSwap(surface(parts))
        verdicts[" ".join(words)] = constraint(new, original)
    assert verdicts == {"movie": True, "picture": False, "movie fine": False, "bliss": False}


def victim() -> FakeVictim:
    return FakeVictim(
        {"movie": [0, 1.5], "picture": [0, 9.0], "fine": [0, 9.0], "poor": [0, 1.5]},
        words=split_words(TEXT),
        bias=(4, 0),
    )


def test_a_search_of_textattack_stays_inside_the_surface(parts: Any) -> None:
    from textattack import Attack
    from textattack.goal_functions import UntargetedClassification
    from textattack.search_methods import GreedySearch

    goal = UntargetedClassification(parts.VictimWrapper(victim(), ["text"]))
    attack = Attack(
        goal,
        [parts.SurfaceConstraint(surface(parts))],
        parts.SurfaceSwap(surface(parts)),
        GreedySearch(),
    )
    result = attack.attack(TEXT, 0)
    assert (
        result.perturbed_result.attacked_text.text == 'It isn\'t "poor", the movie: a good movie.'
    )


def test_the_wrapper_reads_unk_as_the_unknown_token(parts: Any) -> None:
    asked = victim()
    wrapper = parts.VictimWrapper(asked, ["text"])
    whole, without, foreign = wrapper(["fine film", "[UNK] film", "bliss film"])
    assert without == pytest.approx(foreign)
    assert whole[1] > without[1]
    assert np.abs(wrapper(["a", "b"]).sum(axis=1) - 1).max() < 1e-6


def test_an_attack_that_does_not_search_the_surface_is_refused(parts: Any) -> None:
    with pytest.raises(UsageError, match=r"^Attack 'convex-hull' needs the victim's gradients"):
        parts.SurfaceSearch("convex-hull", surface(parts))
    with pytest.raises(UsageError, match=r"^Attack 'textattack:deepwordbug' searches no surface"):
        parts.SurfaceSearch("textattack:deepwordbug", surface(parts))
    with pytest.raises(UsageError, match=r"^attack 'genetic' has no option 'colour'"):
        parts.GeneticJia2019.build(
            parts.VictimWrapper(victim(), ["text"]), surface(parts), colour="red"
        )


@ATTACKS.register("test-endless")
class Endless(Attack):
    """Makes queries even after its budget is spent."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        while True:
            with suppress(BudgetSpent):
                oracle.probs(space.original()[None])


def test_a_search_that_ignores_its_spent_budget_is_ended(parts: Any) -> None:
    from textattack import Attack as TheirAttack
    from textattack.goal_functions import UntargetedClassification

    goal = UntargetedClassification(parts.VictimWrapper(victim(), ["text"]), query_budget=4)
    attack = TheirAttack(
        goal,
        [],
        parts.SurfaceSwap(surface(parts)),
        parts.SurfaceSearch("test-endless", surface(parts)),
    )
    assert type(attack.attack(TEXT, 0)).__name__ == "FailedAttackResult"


def test_a_goal_that_is_not_a_wrong_class_is_refused(parts: Any) -> None:
    from textattack import Attack
    from textattack.goal_functions import TargetedClassification

    goal = TargetedClassification(parts.VictimWrapper(victim(), ["text"]), target_class=1)
    attack = Attack(
        goal, [], parts.SurfaceSwap(surface(parts)), parts.SurfaceSearch("greedy", surface(parts))
    )
    with pytest.raises(
        UsageError, match="any wrong class; TargetedClassification asks for something else"
    ):
        attack.attack(TEXT, 0)


def test_a_missing_textattack_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError,
        match=r"^TextAttack is not installed\. Run: pip install 'robench\[textattack\]'\.$",
    ):
        installed.require_textattack()


def test_missing_stop_words_are_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: object())
    monkeypatch.setattr(installed, "has_nltk_data", lambda name: False)
    with pytest.raises(
        UsageError,
        match=r"^TextAttack needs NLTK's stop words, which are not here\."
        r" Run: python -m nltk\.downloader stopwords\.$",
    ):
        installed.require_textattack()


def test_a_broken_import_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("\n*** cannot import name 'x' ***\nmore")

    monkeypatch.setattr(installed, "find_spec", lambda name: object())
    monkeypatch.setattr(installed, "has_nltk_data", lambda name: True)
    monkeypatch.setattr(installed, "import_module", broken)
    with pytest.raises(
        UsageError,
        match=r"^TextAttack cannot be imported \(ImportError: cannot import name 'x'\)\.",
    ):
        installed.require_textattack()


def test_nltk_data_are_found_as_folder_or_archive(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert not installed.has_nltk_data("corpora/stopwords")
    (tmp_path / "corpora" / "stopwords").mkdir(parents=True)
    assert installed.has_nltk_data("corpora/stopwords")


def test_importing_textattack_disables_no_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda _: True)
    monkeypatch.setattr(installed, "has_nltk_data", lambda _: True)
    # TextAttack's import configures logging like this.
    monkeypatch.setattr(
        installed, "import_module", lambda _: logging.config.dictConfig({"version": 1})
    )
    ours, silenced = logging.getLogger("robench.anything"), logging.getLogger("robench.silenced")
    monkeypatch.setattr(ours, "disabled", False)
    monkeypatch.setattr(silenced, "disabled", True)
    installed.require_textattack()
    assert (ours.disabled, silenced.disabled) == (False, True)
