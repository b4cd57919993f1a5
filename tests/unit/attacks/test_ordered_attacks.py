"""TextFooler, BERT-Attack, A2T and beam search on victims whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fake_victims import FakeVictim, linear_jobs, load_linear, make_job
from victim_cases import CARD, classifier, tokenizer

from robench import ATTACKS, SearchSpace, Trial, Verdict
from robench.models.victim import Victim
from robench.search.jobs import Job
from robench.testing import Subject
from robench.text import embedding_neighbours, masked_candidates, wordnet
from robench.text.function_words import is_content_word

NAMES = ["textfooler", "bert-attack", "a2t", "beam"]
WIDE = {**CARD, "max_tokens": 16}
WORDS = ["good", "bad", "film", "noun1", "noun2", "noun3", "fine", "poor"]


def fooled(trials: dict[str, Trial]) -> set[str]:
    return {name for name, trial in trials.items() if trial.verdict == Verdict.FOOLED}


@pytest.fixture
def victim() -> Victim:
    """A random classifier that predicts each class for half of some texts."""
    made = Victim(classifier(), tokenizer(), WIDE)
    rng = np.random.default_rng(0)
    texts = [{"text": " ".join(rng.choice(WORDS, 6))} for _ in range(24)]
    probs = made.probs_of_texts(texts)
    head: Any = made.model.head
    with torch.no_grad():
        head[-1].bias[1] -= float(np.median(np.log(probs[:, 1] / probs[:, 0])))
    return made


def jobs_of(victim: Victim, count: int = 24) -> list[Job]:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, 6)) for _ in range(count)]
    labels = victim.predict([{"text": text} for text in texts]).tolist()
    substitutes = {word: [other for other in WORDS[:5] if other != word] for word in WORDS}
    return [
        make_job(text, substitutes, label=label, number=number)
        for number, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]


def test_a_real_victim_is_fooled_where_its_space_allows_it(victim: Victim) -> None:
    jobs = jobs_of(victim)
    possible = fooled(Subject.of("exhaustive", options={"max_size": 20_000}).trials(victim, jobs))
    assert len(possible) >= 8
    for name in NAMES:
        found = Subject.of(name).trials(victim, jobs)
        assert fooled(found) <= possible
        assert len(fooled(found)) >= 0.7 * len(possible), name
        assert all(trial.problem is None for trial in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_scale_of_a_real_victims_logits_changes_nothing(name: str, victim: Victim) -> None:
    """The last layer times s: every verdict, text and number of queries stays."""
    head: Any = victim.model.head[-1]
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    usual: dict[str, Any] = {}
    jobs = jobs_of(victim)
    for factor in (1.0, 1e-6, 0.1, 3.0, 30.0, 100.0):
        with torch.no_grad():
            head.weight.copy_(weight * factor)
            head.bias.copy_(bias * factor)
        found = {
            example: (trial.verdict, trial.changes, trial.asked)
            for example, trial in Subject.of(name).trials(victim, jobs).items()
        }
        usual = usual or found
        assert found == usual, factor
    assert {verdict for verdict, _, _ in usual.values()} >= {Verdict.FOOLED}


@pytest.mark.parametrize("name", NAMES)
def test_no_attack_fools_more_than_every_text_of_the_space_can(name: str) -> None:
    jobs = linear_jobs(40, words=6)
    truth = Subject.of("exhaustive", options={"max_size": 10_000}).trials(load_linear(), jobs)
    found = Subject.of(name).trials(load_linear(), jobs)
    assert fooled(found) <= fooled(truth)
    # The victim is a sum, so the best change of each word alone is the best of all.
    assert fooled(found) == fooled(truth)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_without_substitutes_is_not_queried(name: str) -> None:
    attack: Any = ATTACKS.get(name)()
    space = SearchSpace(("a",), (("a",),), 1)
    assert attack.search(space, None, 0, np.random.default_rng(0)) is None


def test_a2t_asks_one_gradient_in_place_of_a_probe_for_each_word() -> None:
    """The text, and all substitutes once; beside them one gradient or one probe for each word."""
    job = make_job("a b c d", {word: [f"{word}1"] for word in "abcd"})
    victim = FakeVictim({}, words=[*"abcd", "a1", "b1", "c1", "d1"], bias=(4, 0))
    asked = {
        name: next(iter(Subject.of(name).trials(victim, [job]).values())).asked
        for name in ("a2t", "textfooler", "bert-attack")
    }
    assert asked == {"a2t": 1 + 1 + 4, "textfooler": 1 + 4 + 4, "bert-attack": 1 + 4 + 4}


def test_all_leaves_out_the_attack_whose_substitutes_change_the_meaning() -> None:
    """A masked language model proposes opposites, so it must not decide a worst case unasked."""
    left_out = {entry.name for entry in ATTACKS.entries() if not ATTACKS.get(entry.name).in_all}
    assert "bert-attack" in left_out
    assert not left_out & {"textfooler", "a2t", "beam"}
    sets = {name: ATTACKS.get(name).substitutions for name in NAMES}
    assert sets == {"textfooler": "", "bert-attack": "masked-lm", "a2t": "", "beam": ""}


def test_the_deviations_say_which_sets_leave_function_words_alone() -> None:
    """The searches filter no words, but the set that they search may."""
    own = ATTACKS.get("bert-attack").deviations[0]
    assert "the set leaves English function words alone" in own
    others = ATTACKS.get("textfooler").deviations[0]
    named = others.partition("Of the sets, ")[2].partition(" leave function words alone")[0]
    sets = {"wordnet": wordnet, "embeddings": embedding_neighbours, "masked-lm": masked_candidates}
    assert set(named.replace(" and ", ", ").split(", ")) == set(sets)
    for module in sets.values():
        assert module.is_content_word is is_content_word


@pytest.mark.parametrize(("width", "positions"), [(1, 1), (1, 16), (8, 1), (3, 2)])
def test_a_beam_asks_no_more_than_its_options_allow(width: int, positions: int) -> None:
    job = make_job("a b c d", {word: [f"{word}1", f"{word}2"] for word in "abcd"})
    words = [*"abcd", *(f"{word}{number}" for word in "abcd" for number in (1, 2))]
    victim = FakeVictim({word: [0, 0.125] for word in words[4:]}, words=words, bias=(4, 0))
    (trial,) = (
        Subject.of("beam", options={"width": width, "positions": positions})
        .trials(victim, [job])
        .values()
    )
    steps = min(positions, 4)
    assert 8 <= trial.asked <= 8 + steps * width * min(positions, 4) * 2


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("beam", "width", 0),
        ("beam", "positions", 0),
        ("bert-attack", "share", 0),
        ("bert-attack", "share", 1.1),
    ],
)
def test_options_outside_their_range_are_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(ValueError, match=option):
        ATTACKS.get(name).Options(**{option: value})
