"""none: no attack, for test sets whose texts are adversarial already, and for clean accuracy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace


@ATTACKS.register("none")
class NoAttack(Attack):
    """Change nothing: the accuracy under it is the clean accuracy.

    It serves test sets of static adversarial texts, such as ``--test advglue-sst2``. ``all`` leaves
    it out, and so does a worst case.
    """

    paper = "none: no attack"
    cost = "none"
    deviations: ClassVar[tuple[str, ...]] = ()
    access = "labels"
    language_model = False
    in_all = False
    searches = False

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Ask nothing and return None; see ``Attack.search``."""
        return None
