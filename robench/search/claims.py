"""What a search returned, as plain data.

This runs in the search's greenlet, because reading a plugin's object runs the plugin's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.search.problems import bounded, describe_error
from robench.search.texts import text_problem


@dataclass(frozen=True)
class Claim:
    """A returned choice or text.

    Attributes:
        value: an array of no subclass, or a text; None where there is a problem.
        problem: why the returned object cannot be judged.
    """

    value: NDArray[Any] | str | None = None
    problem: str | None = None


def claimed_choice(returned: object, words: int) -> Claim | None:
    """Return what ``Attack.search`` returned; None for None.

    Args:
        words: of the space. An array of another shape is not copied.
    """
    if returned is None:
        return None
    try:
        choice = np.asarray(returned)
    except Exception as error:
        reason = describe_error(error)
        problem = f"the attack returned something that is not a choice ({reason})"
        return Claim(problem=bounded(problem))
    if choice.dtype.kind not in "iu":
        kind = f"{_name(returned)} of {choice.dtype}"
        return Claim(problem=bounded(f"the attack returned {kind} instead of a choice of integers"))
    if choice.shape != (words,):
        return Claim(problem=OUTSIDE)
    return Claim(np.array(choice))


OUTSIDE = "the attack returned a choice outside the space"


def claimed_text(returned: object, longest: int) -> Claim | None:
    """Return what ``FreeAttack.rewrite`` returned; None for None.

    Args:
        longest: characters that a text may have.
    """
    if returned is None:
        return None
    if not isinstance(returned, str):
        return Claim(problem=bounded(f"the attack returned {_name(returned)} instead of a text"))
    problem = text_problem(text := str.__getitem__(returned, slice(None)), longest)
    if problem is not None:
        return Claim(problem=f"the attack returned {problem}")
    return Claim(text)


def _name(returned: object) -> str:
    return str(type(returned).__name__)
