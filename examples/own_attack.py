"""Write an attack, and compare it with PWWS on the same victim.

python examples/own_attack.py
"""

from __future__ import annotations

import numpy as np

import robench
from robench import Attack, Choice, Oracle, SearchSpace


@robench.ATTACKS.register("first-word")
class FirstWord(Attack):
    """Tries every substitute of the first word that has one."""

    paper = "none: an example"

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Return the first substitute that changes the prediction, if there is one."""
        for position in space.positions[:1]:
            choices = np.tile(space.original(), (space.sizes[position] - 1, 1))
            choices[:, position] = np.arange(1, space.sizes[position])
            wrong = np.flatnonzero(oracle.probs(choices).argmax(axis=1) != label)
            if len(wrong):
                return choices[wrong[0]]
        return None


def main() -> None:
    """Train a victim briefly, attack it in both ways, and print the result."""
    results = robench.evaluate(
        defenses="standard",
        task="mini-reviews",
        attacks=["first-word", "pwws"],
        limit=100,
        options={"defense.epochs": 1, "defense.train_examples": 1000},
    )
    print(results)


if __name__ == "__main__":
    main()
