"""The kit over every built-in attack: what each claims of itself, and every check by its name."""

from __future__ import annotations

from typing import Any

import pytest

from robench import ATTACKS
from robench.testing import ATTACK_CHECKS, Subject

BUILT_IN = [entry.name for entry in ATTACKS.entries() if entry.origin == "built-in"]
CLAIMS: dict[str, dict[str, Any]] = {
    "exhaustive": {"scale_free": True},
    "genetic": {"evolves": True},
    "genetic-alzantot": {"evolves": True},
    "greedy": {"scale_free": True},
    "hard-label": {"scale_free": True},
    "random": {"scale_free": True},
}


@pytest.mark.parametrize("check", ATTACK_CHECKS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_it_passes(name: str, check: str) -> None:
    ATTACK_CHECKS[check](Subject.of(name, **CLAIMS.get(name, {})))
