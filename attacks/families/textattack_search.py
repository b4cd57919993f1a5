"""TextAttack's search methods over robench's surface; see docs/textattack.md.

An example is ``textattack-search:particle-swarm-optimization``.
"""

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
"""Types of the arguments that become options."""


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
    """Return name -> class of each search method; ``GreedySearch`` is called ``greedy-search``."""
    require_tested_textattack("textattack-search:NAME")
    from textattack import search_methods

    classes = {}
    for cls in vars(search_methods).values():
        is_method = inspect.isclass(cls) and issubclass(cls, search_methods.SearchMethod)
        if is_method and not inspect.isabstract(cls):
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()
            classes[name] = cls
    return classes


def _options(method: Any) -> type[Options]:
    """Make options of the method's arguments with a plain default; names and defaults are kept."""
    fields: dict[str, Any] = {}
    for name, argument in inspect.signature(method.__init__).parameters.items():
        default = argument.default
        if isinstance(default, PLAIN):
            field = Field(default, description="TextAttack's own argument of this name.")
            fields[name] = (type(default), field)
    return create_model(
        "Options", __base__=Options, __doc__="The arguments of TextAttack's class.", **fields
    )


class SearchMethodAttack(Attack):
    """One search method of TextAttack.

    The method searches over a text of symbols, one for each word and option, so that nothing
    depends on how TextAttack splits words. Its queries about such texts become queries about
    choices, which the oracle answers.
    """

    deviations = (
        "The surface says what may be substituted; of TextAttack's constraints only"
        " RepeatModification stays (no position is changed twice on the way to a text).",
        "Each example has random numbers of its own; TextAttack draws one stream for the whole"
        " run.",
        "Any text that was queried and fools the victim counts, even if the search did not look"
        " at it.",
    )
    further_code = ("robench.methods.textattack",)
    method: ClassVar[Any] = None

    def check(self) -> None:
        """Refuse a method that needs gradients or does not take its arguments."""
        try:
            black_box = self._searcher().is_black_box
        except Exception as error:
            raise UsageError(
                f"TextAttack's {self.method.__name__} cannot be made with these options"
                f" ({type(error).__name__}: {first_line(error)})."
            ) from error
        if not black_box:
            raise UsageError(
                f"TextAttack's {self.method.__name__} needs the victim's gradients with these"
                " options. robench does not provide gradients. Choose other options."
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
