"""TextAttack's own recipes as they ship, outside the surface; see docs/textattack.md.

Examples are ``textattack:pwws`` and ``textattack:textfooler``.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from robench import (
    ATTACK_FAMILIES,
    Attack,
    BudgetSpent,
    Family,
    FreeAttack,
    Options,
    TextOracle,
    UnknownMember,
    UsageError,
)
from robench.methods import (
    TEXTATTACK_BATCH,
    GlobalStreams,
    first_line,
    global_seeds,
    no_pointless_retries,
    require_tested_textattack,
)

PROBE = "The film was a good one, and nobody left before the end."
"""Text that a recipe changes once before any training, so that what it lacks is found early."""

_GRADIENTS = (
    "The recipe '{}' needs the victim's gradients, which attacks outside the surface are not shown:"
    " choose another one."
)


@ATTACK_FAMILIES.register("textattack")
class TextAttackRecipes(Family[Attack]):
    """TextAttack's own recipes as they ship, outside the surface."""

    outside = True

    def names(self) -> list[str]:
        """See ``Family.names``."""
        return sorted(_paths())

    def make(self, name: str) -> type[Attack]:
        """See ``Family.make``."""
        paths = _paths()
        if name not in paths:
            raise UnknownMember
        module, _, recipe = paths[name].rpartition(".")
        cls = getattr(importlib.import_module(module), recipe)
        about = " ".join((cls.__doc__ or recipe).split())
        facts = {
            "__doc__": f"TextAttack's {recipe}, as it ships.",
            "__module__": __name__,
            "paper": about,
            "member": name,
            "recipe": cls,
        }
        return type(recipe, (Recipe,), facts)


def _paths() -> dict[str, str]:
    """Return name -> dotted path of each recipe, as ``textattack attack --recipe`` knows them."""
    require_tested_textattack("textattack:NAME")
    names: dict[str, str] = importlib.import_module("textattack.attack_args").ATTACK_RECIPE_NAMES
    return names


class Recipe(FreeAttack):
    """One recipe of TextAttack.

    The recipe is built once. Each example gets its own goal function and search, because these
    change while they run.
    """

    deviations = (
        "Only the attackable field is given to the recipe; of a pair, TextAttack attacks both"
        " texts unless a recipe says otherwise.",
        "Each example has random numbers of its own; TextAttack draws one stream for the whole"
        " run, so there an example's result depends on those before it.",
        "Texts that TextAttack answers from its cache are not counted as queries, but they count"
        " towards a budget, as in TextAttack.",
        "What is returned must fool the victim on the text as it stands, where '[UNK]' is no"
        " longer the unknown token.",
    )
    further_code = ("robench.methods.textattack",)
    member: ClassVar[str] = ""
    recipe: ClassVar[Any] = None

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._shared: Any = None

    def check(self) -> None:
        """Build the recipe and change one sentence with it.

        Some recipes load their models and word lists only when they change a text.
        """
        self._built()

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        """See ``FreeAttack.rewrite``."""
        streams = GlobalStreams(*global_seeds(rng))
        attack = self._attack_with(_Model(oracle, streams), oracle.budget)
        try:
            with streams.swapped():
                result = attack.attack(text, label)
        except Exception as error:
            # When the budget is spent TextAttack answers with no rows, which most searches do not
            # expect. The error then only says that the budget is spent.
            goal = attack.goal_function
            if goal.num_queries >= goal.query_budget:
                raise BudgetSpent("TextAttack's own count of queries reached the budget") from error
            raise
        fooled = type(result).__name__ == "SuccessfulAttackResult"
        return str(result.perturbed_result.attacked_text.text) if fooled else None

    def _attack_with(self, model: _Model, budget: int | None) -> Any:
        """Make TextAttack's ``Attack`` for one example from copies of the parts that change."""
        from textattack import Attack as TextAttack

        shared = self._built()
        goal, search = copy.copy(shared.goal_function), copy.copy(shared.search_method)
        goal.model, goal.batch_size = model, TEXTATTACK_BATCH
        goal.query_budget = float("inf") if budget is None else budget
        return TextAttack(
            goal,
            [*shared.pre_transformation_constraints, *shared.constraints],
            shared.transformation,
            search,
        )

    def _built(self) -> Any:
        if self._shared is None:
            self._shared = self._build()
        return self._shared

    def _build(self) -> Any:
        """Build the recipe, or raise UsageError if it cannot be used here."""
        name = f"textattack:{self.member}"
        if missing := _missing_arguments(self.recipe):
            raise UsageError(
                f"The recipe '{name}' cannot be built without arguments that robench does not give"
                f" it ({', '.join(missing)}): choose another one."
            )
        try:
            with no_pointless_retries(), _quiet():
                built = self.recipe.build(_Model(None, None))
                _change_probe(built)
        except Exception as error:
            if _asks_for_gradients(error):
                raise UsageError(_GRADIENTS.format(name)) from error
            why = f"{type(error).__name__}: {first_line(error)}"
            raise UsageError(
                f"The recipe '{name}' cannot be used here ({why})."
                " docs/textattack.md says what recipes need."
            ) from error
        goal = type(built.goal_function).__name__
        if goal != "UntargetedClassification":
            raise UsageError(
                f"The recipe '{name}' does not look for a wrong class (its goal is {goal}):"
                " choose another one."
            )
        if not built.is_black_box:
            raise UsageError(_GRADIENTS.format(name))
        return built


def _missing_arguments(recipe: Any) -> list[str]:
    """Return the arguments without default that a recipe takes beside the model."""
    _, *others = inspect.signature(recipe.build).parameters.values()
    return [
        each.name
        for each in others
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]


def _asks_for_gradients(error: Exception) -> bool:
    """Return whether TextAttack's gradient-based word swap refused the model.

    It refuses a model that gives probabilities only.
    """
    return isinstance(error, TypeError) and "invalid model wrapper" in str(error)


def _change_probe(built: Any) -> None:
    """Make the built recipe change one sentence."""
    from textattack.shared import AttackedText

    streams, text = GlobalStreams(0, 0), AttackedText(PROBE)
    with streams.swapped():
        built.get_transformations(text, original_text=text)
    built.clear_cache()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the output of NLTK's downloader and TextAttack's warnings.

    TextAttack warns of every model that is not one of its own.
    """
    loggers = [
        logging.getLogger(name) for name in ("textattack.shared.utils.install", "textattack")
    ]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with redirect_stdout(StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Model:
    """The oracle as a recipe's model; the search waits in it until its texts are answered."""

    model = None

    def __init__(self, oracle: TextOracle | None, streams: GlobalStreams | None) -> None:
        self._oracle, self._streams = oracle, streams

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self._oracle is None or self._streams is None:
            raise RuntimeError("a recipe queried its model before it was given a text")
        with self._streams.swapped():
            return self._oracle.probs(texts)
