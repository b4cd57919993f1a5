"""Every check of ``robench.testing`` on every built-in attack, with the attack's own claims."""

from __future__ import annotations

from typing import Any

import pytest

from robench import ATTACKS
from robench.testing import ATTACK_CHECKS, Subject
from robench.testing.subject import fooled
from robench.testing.victims import linear_jobs, load_linear

BUILT_IN = [
    entry.name
    for entry in ATTACKS.entries()
    # "none" attacks nothing; tests/unit/attacks/test_none.py tests it.
    if entry.origin == "built-in" and entry.name != "none"
]
CLAIMS: dict[str, dict[str, Any]] = {
    "a2t": {"scale_free": True},
    "beam": {"scale_free": True},
    "bert-attack": {"scale_free": True},
    "convex-hull": {"scale_free": True},
    "exhaustive": {"scale_free": True},
    "genetic": {"scale_free": True, "evolves": True},
    "genetic-alzantot": {"scale_free": True, "evolves": True},
    "greedy": {"scale_free": True},
    "hard-label": {"scale_free": True},
    "pwws": {"scale_free": True},
    "random": {"scale_free": True},
    "textfooler": {"scale_free": True},
}


@pytest.mark.parametrize("check", ATTACK_CHECKS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_attack_passes_every_check(name: str, check: str) -> None:
    ATTACK_CHECKS[check](Subject.of(name, **CLAIMS.get(name, {})))


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_search_says_what_every_smaller_budget_gives(name: str) -> None:
    """The curve over queries is exact: it needs no search for each budget."""
    subject, victim, jobs = Subject.of(name), load_linear(), linear_jobs(12)
    whole = subject.trials(victim, jobs, budget=400)
    for budget in (1, 7, 30, 90):
        by_curve = {
            id_
            for id_, trial in whole.items()
            if trial.asked_at_success is not None and trial.asked_at_success <= budget
        }
        assert by_curve == fooled(subject.trials(victim, jobs, budget=budget))
