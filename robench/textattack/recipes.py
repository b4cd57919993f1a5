"""The searches of RIFT's evaluation as attack recipes for TextAttack's ``Attacker``.

The search code is robench's own.
"""

from __future__ import annotations

from typing import Any

from textattack import Attack
from textattack.attack_recipes import AttackRecipe
from textattack.goal_functions import UntargetedClassification
from textattack.models.wrappers import ModelWrapper

from robench.textattack.parts import SurfaceConstraint, SurfaceSwap
from robench.textattack.search import SurfaceSearch
from robench.textattack.texts import TextSurface


class GeneticJia2019(AttackRecipe):
    """The attack ``genetic``: Jia et al. (EMNLP 2019) as RIFT runs it, 60 texts and 40 iterations.

    TextAttack's own recipe of that name differs from it in a dozen points.
    """

    @staticmethod
    def build(
        model_wrapper: ModelWrapper, surface: TextSurface, seed: int = 0, **options: Any
    ) -> Attack:
        """Build the attack; ``robench show attack genetic`` lists the options."""
        return _build("genetic", model_wrapper, surface, seed, options)


class PWWSRen2019(AttackRecipe):
    """The attack ``pwws``: Ren et al. (ACL 2019) over the substitution set of RIFT's evaluation.

    The substitution set takes the place of WordNet.
    """

    @staticmethod
    def build(model_wrapper: ModelWrapper, surface: TextSurface, seed: int = 0) -> Attack:
        """Build the attack; it draws nothing, so the seed makes no difference."""
        return _build("pwws", model_wrapper, surface, seed, {})


def _build(
    name: str, wrapper: ModelWrapper, surface: TextSurface, seed: int, options: dict[str, Any]
) -> Attack:
    search = SurfaceSearch(name, surface, seed=seed, options=options)
    constraints = [SurfaceConstraint(surface)] if search.constrained else []
    return Attack(UntargetedClassification(wrapper), constraints, SurfaceSwap(surface), search)
