"""Fooling texts of a randomised victim, asked again with fresh random variants."""

from __future__ import annotations

import pytest
from victim_cases import CARD, classifier, tokenizer

from robench import Example
from robench.evaluation.fresh_draws import MOST_TEXTS, SEEDS, fresh_draws, fresh_draws_part
from robench.models.smoother import Smoother
from robench.models.smoothing import Smoothing
from robench.models.victim import Victim
from robench.records.fresh_draws import FreshDrawsPart
from robench.search.attack import Change, Trial, Verdict

RANDOM = {**CARD, "name": "random"}
TEXT = "film good noun1 noun3 bad noun2"
CHANGE = Change(position=1, original="good", substitute="fine")


def randomised(rate: float = 0.5, draws: int = 2) -> Victim:
    plain = Victim(classifier(), tokenizer(), RANDOM)
    smoothing = Smoothing("masking", draws, rate=rate)
    return Victim(
        plain.model, tokenizer(), RANDOM, smoother=Smoother(smoothing, plain.encoder_fields)
    )


def trial(verdict: Verdict, label: int, number: int = 0) -> Trial:
    return Trial(
        id=f"planted/{number}",
        verdict=verdict,
        label=label,
        prediction=label,
        adversarial_prediction=1 - label,
        changes=(CHANGE,) if verdict == Verdict.FOOLED else (),
    )


def asked_again(
    victim: Victim, trials: list[Trial], examples: list[Example]
) -> FreshDrawsPart | None:
    return fresh_draws_part(fresh_draws(victim, trials, examples))


def example(label: int, number: int = 0) -> Example:
    return Example(f"planted/{number}", {"text": TEXT}, label)


@pytest.mark.parametrize("label", [0, 1])
def test_almost_no_masking_fools_always_or_never(label: int) -> None:
    # One word of six is masked at most, so all variants agree with the plain answer or nearly so.
    victim = randomised(rate=0.01)
    part = asked_again(victim, [trial(Verdict.FOOLED, label)], [example(label)])
    assert part is not None
    wrong = victim.predict([{"text": TEXT.replace("good", "fine")}])[0] != label
    assert (part.texts, part.seeds, part.fooled) == (1, SEEDS, SEEDS if wrong else 0)


def test_the_count_is_that_of_the_answers_of_fresh_seeds_and_repeats() -> None:
    victim = randomised()
    trials = [trial(Verdict.FOOLED, 0, 0), trial(Verdict.HELD, 0, 1), trial(Verdict.FOOLED, 1, 2)]
    examples = [example(0, 0), example(0, 1), example(1, 2)]
    part = asked_again(victim, trials, examples)
    assert part is not None
    # The same text with both labels: each seed fools exactly one of them.
    assert (part.texts, part.fooled) == (2, SEEDS)
    assert asked_again(victim, trials, examples) == part


def test_other_victims_and_unfooled_ones_have_none() -> None:
    plain = Victim(classifier(), tokenizer(), RANDOM)
    assert asked_again(plain, [trial(Verdict.FOOLED, 0)], [example(0)]) is None
    assert asked_again(randomised(), [trial(Verdict.HELD, 0)], [example(0)]) is None


def test_only_the_first_texts_count() -> None:
    part = fresh_draws_part([("a", 2)] * MOST_TEXTS + [("z", SEEDS)])
    assert part is not None
    assert (part.texts, part.fooled) == (MOST_TEXTS, 2 * MOST_TEXTS)
