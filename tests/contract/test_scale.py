"""A head that is multiplied by a constant decides as before, so nothing else may change.

Every attack inside the surface is tested, also those that are added later. Attacks of TextAttack
compare probabilities; they are tested with the victim's temperature.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from learnt_victims import learnt_jobs, learnt_victim
from textattack_cases import textattack_or_skip

from robench import ATTACKS, Verdict, build_options
from robench.evaluation.temperature import temperature_of
from robench.search.attack import Trial
from robench.search.engine import run
from robench.search.settings import SearchSettings

pytestmark = pytest.mark.slow

SCALES = (1e-6, 0.1, 3.0, 30.0, 100.0)
INSIDE = [
    entry.name for entry in ATTACKS.entries() if entry.origin == "built-in" and entry.name != "none"
]
SHORT: dict[str, Any] = {
    "population": 6, "iterations": 3, "draws": 48, "max_size": 200, "width": 3, "restarts": 1,
}  # fmt: skip
"""Options that keep a search short, where an attack has them."""
EXAMPLES, SLOW = 200, 80
"""Attacks with gradients ask text by text, and TextAttack does much beside asking."""


@cache
def trials(name: str, classes: int, scale: float, *, calibrated: bool = False) -> dict[str, Trial]:
    """Return example id -> trial of an attack on the victim times ``scale``."""
    cls = ATTACKS.get(name)
    options = {key: str(value) for key, value in SHORT.items() if key in cls.Options.model_fields}
    count = SLOW if cls.access == "gradients" or ":" in name else EXAMPLES
    victim = learnt_victim(classes, scale)
    temperature = 1.0
    if calibrated:
        dev = [job.example for job in learnt_jobs(classes, 2 * EXAMPLES)[EXAMPLES:]]
        temperature = temperature_of(victim, dev)
    attack = cls(build_options(cls.Options, options, f"attack '{name}'"))
    settings = SearchSettings(temperature=temperature)
    found = run(victim, attack, name, learnt_jobs(classes, count), settings)
    return {trial.id: trial for trial in found}


def verdicts(found: dict[str, Trial]) -> dict[str, Verdict]:
    return {name: trial.verdict for name, trial in found.items()}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", INSIDE)
def test_the_scale_of_the_logits_changes_no_verdict(name: str, classes: int) -> None:
    expected = verdicts(trials(name, classes, 1.0))
    # A test on a victim that is never or always fooled would show nothing.
    counts = [list(expected.values()).count(each) for each in (Verdict.WRONG, Verdict.FOOLED)]
    assert min(counts) > 0
    assert sum(counts) < len(expected)
    for scale in SCALES:
        assert verdicts(trials(name, classes, scale)) == expected, f"times {scale:g}"


@pytest.mark.parametrize("classes", [2, 3])
def test_published_scores_do_depend_on_the_scale(classes: int) -> None:
    """Otherwise the test above could not fail for such a search."""
    cls = ATTACKS.get("pwws")
    attack = cls(build_options(cls.Options, {"scores": "probabilities"}, "attack 'pwws'"))
    found = [
        {
            trial.id: (trial.verdict, trial.changes)
            for trial in run(
                learnt_victim(classes, scale), attack, "pwws", learnt_jobs(classes, EXAMPLES)
            )
        }
        for scale in (1.0, 100.0)
    ]
    assert found[0] != found[1]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", ["textattack-search:greedy-word-swap-wir"])
def test_a_search_by_probabilities_needs_the_temperature(name: str, classes: int) -> None:
    textattack_or_skip()
    expected = verdicts(trials(name, classes, 1.0, calibrated=True))
    for scale in SCALES:
        assert verdicts(trials(name, classes, scale, calibrated=True)) == expected


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scale", SCALES)
def test_with_its_temperature_a_victim_has_the_same_probabilities(
    classes: int, scale: float
) -> None:
    dev = [job.example for job in learnt_jobs(classes, EXAMPLES)]
    plain, scaled = learnt_victim(classes), learnt_victim(classes, scale)
    found = temperature_of(scaled, dev) / temperature_of(plain, dev)
    assert found == pytest.approx(scale, rel=1e-4)
    assert np.isfinite(found)
