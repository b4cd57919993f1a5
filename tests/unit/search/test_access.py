"""Tests that an attack sees what it declares and no more."""

from __future__ import annotations

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job

from robench import Attack, Choice, Oracle, SearchSpace, Verdict
from robench.models.probabilities import softmax
from robench.search.access import Access, restrict
from robench.search.engine import run

ROWS = np.array([[0, 0], [1, 0], [2, 0]], dtype=np.int16)
LOGITS = np.array([[4, 0, 0], [1, 1, 0.5], [0, 3, 9]], dtype=np.float32)


class Open:
    """Answers with the logits above for ``ROWS``."""

    def logits(self, choices: np.ndarray) -> np.ndarray:
        return np.asarray(LOGITS[choices[:, 0]])

    def probs(self, choices: np.ndarray) -> np.ndarray:
        return softmax(self.logits(choices))

    def logits_without(self, choice: np.ndarray, positions: np.ndarray) -> np.ndarray:
        return np.asarray(LOGITS[positions])

    def probs_without(self, choice: np.ndarray, positions: np.ndarray) -> np.ndarray:
        return softmax(LOGITS[positions])


def test_with_access_labels_every_answer_is_one_hot() -> None:
    oracle = restrict(Open(), "labels")
    for answers in (
        oracle.logits(ROWS),
        oracle.probs(ROWS),
        oracle.logits_without(ROWS[0], np.arange(3)),
        oracle.probs_without(ROWS[0], np.arange(3)),
    ):
        # The first of equal scores wins.
        assert answers.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
        assert answers.dtype == np.float32


@pytest.mark.parametrize("access", ["probabilities", "gradients"])
def test_other_accesses_see_all_logits(access: Access) -> None:
    assert (restrict(Open(), access).logits(ROWS) == LOGITS).all()


JOB = make_job("good film", {"good": ["fine", "nice"]})
WEIGHTS = {
    "nice": [0.0, 0, 9],
    "good": [1.0, 0, 0],
    "fine": [0.25, 0.5, 0.125],
    "film": [0.0, 0, 0],
}


class Curious(Attack):
    """Records the answers about every text."""

    def __init__(self) -> None:
        super().__init__()
        self.answers_seen: list[np.ndarray] = []

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        for option in (1, 2):
            choice = np.array([option, 0], dtype=np.int16)
            self.answers_seen += [oracle.probs(choice[None])[0], oracle.logits(choice[None])[0]]
            if self.answers_seen[-1].argmax() != label:
                return choice
        return None


class OnlyLabels(Curious):
    """Like Curious, but declares that labels are enough."""

    access = "labels"


@pytest.mark.parametrize(("attack", "hidden"), [(OnlyLabels(), True), (Curious(), False)])
def test_the_engine_restricts_an_attack_to_its_access(attack: Curious, hidden: bool) -> None:
    (trial,) = run(FakeVictim(WEIGHTS, bias=(4, 0, 0)), attack, "curious", [JOB])
    assert trial.verdict == Verdict.FOOLED
    assert (set(np.concatenate(attack.answers_seen).tolist()) == {0.0, 1.0}) == hidden
