"""Cases of the fault suite: a few run always, and all in ``make test-faults``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def few(cases: Iterable[str], *always: str) -> list[Any]:
    """Return the cases for ``parametrize``; those that are not in ``always`` have the mark many.

    Raises:
        ValueError: one of ``always`` is no case.
    """
    known = list(cases)
    if unknown := set(always) - set(known):
        raise ValueError(f"these are no cases: {sorted(unknown)}")
    return [
        case if case in always else pytest.param(case, marks=pytest.mark.many) for case in known
    ]
