"""TextAttack's search methods over robench's surface (textattack-search:particle-swarm-optimization, ...); see docs/textattack.md."""

from __future__ import annotations

import inspect
import re
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, create_model

from robench import (
    ATTACK_FAMILIES,
    Attack,
    Choice,
    Family,
    Options,
    Oracle,
    SearchSpace,
    UnknownMember,
    UsageError,
)
from robench.methods import GlobalStreams, first_line, global_seeds, require_tested_textattack

PLAIN = (bool, int, float, str)
"""Types of arguments that become options."""


@ATTACK_FAMILIES.register("textattack-search")
class TextAttackSearches(Family[Attack]):
    """TextAttack's search methods over the surface of the protocol."""

    def names(self) -> list[str]:
        """See ``Family.names``."""
        return sorted(_classes())

    def make(self, name: str) -> type[Attack]:
        """See ``Family.make``."""
        classes = _classes()
        if name not in classes:
            raise UnknownMember
        method = classes[name]
        about = " ".join((inspect.getdoc(method) or name).partition("Args:")[0].split())
        facts = {
            "__doc__": f"TextAttack's {method.__name__} over the surface.",
            "__module__": __name__,
            "paper": about,
            "method": method,
        }
        return type(method.__name__, (SearchMethodAttack,), facts | {"Options": _options(method)})


def _classes() -> dict[str, Any]:
    """Name -> class: ``GreedySearch`` is called ``greedy-search``."""
    require_tested_textattack("textattack-search:NAME")
    from textattack import search_methods

    found = [
        cls
        for cls in vars(search_methods).values()
        if inspect.isclass(cls) and issubclass(cls, search_methods.SearchMethod)
    ]
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower(): cls
        for cls in found
        if not inspect.isabstract(cls)
    }


def _options(method: Any) -> type[Options]:
    """Its arguments that have a plain default, with TextAttack's names and defaults."""
    fields: dict[str, Any] = {
        name: (
            type(argument.default),
            Field(argument.default, description="TextAttack's own argument of this name."),
        )
        for name, argument in inspect.signature(method.__init__).parameters.items()
        if isinstance(argument.default, PLAIN)
    }
    return create_model(
        "Options", __base__=Options, __doc__="The arguments of TextAttack's class.", **fields
    )


class SearchMethodAttack(Attack):
    """One search method of TextAttack.

    It is given a text of symbols, one for each word and option, so that nothing depends on how TextAttack splits words; what it asks about such texts is
    put to the oracle as choices.
    """

    deviations = (
        "What may be substituted is the surface's; of TextAttack's constraints only RepeatModification stays (no position is changed twice on one way).",
        "Each example has random numbers of its own; TextAttack draws one stream for the whole run.",
        "Any text that was asked about and fools counts, though the search did not look at it.",
    )
    further_code = ("robench.methods.textattack",)
    method: ClassVar[Any] = None

    def check(self) -> None:
        """Refuse a method that wants more than probabilities, or that its arguments do not suit."""
        try:
            black_box = self._searcher().is_black_box
        except Exception as error:
            raise UsageError(
                f"TextAttack's {self.method.__name__} cannot be made with these options ({type(error).__name__}: {first_line(error)})."
            ) from error
        if not black_box:
            raise UsageError(
                f"TextAttack's {self.method.__name__} wants the victim's gradients with these options, which it is not shown: choose others."
            )

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        from robench.methods import Symbols, symbol_attack

        streams, symbols = GlobalStreams(*global_seeds(rng)), Symbols(space)
        attack = symbol_attack(space, self._searcher(), oracle, streams)
        with streams.swapped():
            result = attack.attack(symbols.write(space.original()), label)
        if type(result).__name__ != "SuccessfulAttackResult":
            return None
        return symbols.read(result.perturbed_result.attacked_text.text)[0]

    def _searcher(self) -> Any:
        return self.method(**self.options.model_dump())
