"""``check_attack`` against attacks that are broken on purpose.

Each must fail the check of its fault, with a sentence that says what it did.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from robench import Attack, Choice, Oracle, SearchSpace
from robench.testing import ATTACK_CHECKS, Subject, check_attack


class Guest(Attack):
    """A sound attack: it tries all single substitutions, then random texts."""

    paper = "none: an attack for the tests of the kit"
    access = "labels"

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        if not len(space.positions):
            return None
        for position in space.positions:
            choices = np.zeros((int(space.sizes[position]), len(space.words)), dtype=np.int16)
            choices[:, position] = np.arange(len(choices))
            if (found := self.look(choices, oracle, label)) is not None:
                return found
        for block in range(16):
            choices = np.zeros((16, len(space.words)), dtype=np.int16)
            choices[:, space.positions] = self.draw(space, rng)
            if (found := self.look(choices, oracle, label)) is not None and not self.overlooks(
                block
            ):
                return found
        return None

    def draw(self, space: SearchSpace, rng: np.random.Generator) -> Any:
        return rng.integers(space.sizes[space.positions], size=(16, len(space.positions)))

    def look(self, choices: np.ndarray, oracle: Oracle, label: int) -> Choice | None:
        wrong = np.flatnonzero(oracle.probs(choices).argmax(axis=1) != label)
        return choices[wrong[0]] if len(wrong) else None

    def overlooks(self, block: int) -> bool:
        return False


class Overlooking(Guest):
    """Ignores the answers to its last query."""

    def overlooks(self, block: int) -> bool:
        return block == 15


class Blind(Guest):
    """Makes no query, so the core cannot find a success either."""

    def look(self, choices: np.ndarray, oracle: Oracle, label: int) -> Choice | None:
        return None


class Boasting(Guest):
    """Claims a success for every text."""

    def look(self, choices: np.ndarray, oracle: Oracle, label: int) -> Choice | None:
        return super().look(choices, oracle, label) if len(choices) < 16 else choices[0]


class Wandering(Guest):
    """Draws from numpy's global stream."""

    def draw(self, space: SearchSpace, rng: np.random.Generator) -> Any:
        return np.random.randint(space.sizes[space.positions], size=(16, len(space.positions)))


class Remembering(Guest):
    """Keeps state from one example to the next."""

    # An attribute of ``self`` would be another one for each example, because each gets a copy.
    examples: ClassVar[list[None]] = []

    def draw(self, space: SearchSpace, rng: np.random.Generator) -> Any:
        self.examples.append(None)
        return np.minimum(super().draw(space, rng), len(self.examples) % 3)


class Trespassing(Guest):
    """Substitutes words beyond the window."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        found = super().search(space, oracle, label, rng)
        return (
            None
            if found is None
            else found + (np.arange(len(space.words)) >= space.visible).astype(np.int16)
        )


class Stumbling(Guest):
    """Fails on a text in which nothing can be changed."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        return (
            space.original()
            if space.positions[0] < 0
            else super().search(space, oracle, label, rng)
        )


class Nameless(Guest):
    """Names no source."""

    paper = ""


def fails(cls: type[Attack], **claims: Any) -> dict[str, str]:
    """Return name -> sentence of every check that fails."""
    failures = {}
    for name, check in ATTACK_CHECKS.items():
        # Worker processes know installed attacks only.
        if name != "workers":
            try:
                check(Subject("guest", cls, **claims))
            except AssertionError as error:
                failures[name] = str(error)
    return failures


def test_a_sound_attack_passes_every_check() -> None:
    assert fails(Guest, scale_free=True) == {}


@pytest.mark.parametrize(
    ("cls", "check", "sentence"),
    [
        (
            Overlooking,
            "last_query",
            r"all rows of its last query \(16\) fool the victim, and it returned none of them",
        ),
        (
            Blind,
            "planted_triggers",
            r"attack 'guest': 0 of 12 planted trigger words were found"
            r" \(2 classes, logits times 1\), at least 100% must be",
        ),
        (
            Boasting,
            "unfoolable_victim",
            "it claims to have fooled a victim that reads nothing of the attackable words",
        ),
        (
            Wandering,
            "packing",
            "it keeps state, or draws from elsewhere than rng|"
            "it draws from numpy's global generator",
        ),
        (Remembering, "packing", "it keeps state, or draws from elsewhere than rng"),
        (Trespassing, "surface", "it broke: the attack returned a choice outside the space"),
        (Stumbling, "odd_texts", "it broke: IndexError"),
        (Nameless, "description", "'paper' is no citation"),
    ],
)
def test_a_broken_attack_fails_the_check_of_its_fault(
    cls: type[Attack], check: str, sentence: str
) -> None:
    with pytest.raises(AssertionError, match=sentence):
        ATTACK_CHECKS[check](Subject("guest", cls))


def test_a_search_that_prefers_the_worst_as_parents_is_detected() -> None:
    """TextAttack's sign is inverted, and its own tests do not notice."""
    right = Subject.of("genetic-alzantot", evolves=True)
    ATTACK_CHECKS["selection"](right)
    shipped = Subject.of("genetic-alzantot", options={"sign": "as-shipped"}, evolves=True)
    with pytest.raises(
        AssertionError,
        match=r"only \d+% of the last texts have the substitute that is by far the fittest:"
        r" are the worst the parents\?",
    ):
        ATTACK_CHECKS["selection"](shipped)


def test_a_wrong_claim_of_scale_free_is_detected() -> None:
    """The published form of the search weighs probabilities."""
    subject = Subject.of("genetic", options={"scores": "probabilities"}, scale_free=True)
    with pytest.raises(AssertionError, match=r"logits times (0.1|10) change the trials of fake/"):
        ATTACK_CHECKS["scale"](subject)


def test_an_attack_that_draws_a_few_texts_may_claim_a_smaller_share() -> None:
    few = Subject.of("random", options={"draws": 1}, least_found=0.2)
    ATTACK_CHECKS["planted_triggers"](few)
    with pytest.raises(AssertionError, match="planted trigger words were found"):
        ATTACK_CHECKS["planted_triggers"](Subject.of("random", options={"draws": 1}))


def test_check_attack_takes_names_and_options_and_stops_at_the_first_failure() -> None:
    with pytest.raises(AssertionError, match=r"attack 'random': \d+ of 12 planted"):
        check_attack("random", options={"draws": 1})
