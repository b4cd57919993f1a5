"""Check one trial against its example, the labels of the task and the search space.

A trial may be whole and still be impossible: somebody edited it, or it belongs to another run. The
check asks no victim, so it finds what cannot be, and not everything that is untrue. ``robench
verify`` asks the victim again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from robench.search.attack import Trial, Verdict

if TYPE_CHECKING:
    from robench.tasks.example import Example
    from robench.text.space import SearchSpace

MOST_ROWS = 10**12
"""More queries or forwarded rows of one example are not believed."""
MOST_SECONDS = 10**9
"""More seconds for one example are not believed; they are 31 years."""
SUM_TOLERANCE = 1e-3
"""How far the sum of a trial's rounded probabilities may lie from 1."""
TIE = 2e-6
"""Rounded probabilities that differ by less may be equal before they are rounded."""


@dataclass(frozen=True)
class TrialRules:
    """What holds for all trials of a cell.

    Attributes:
        labels: names of the classes, in order.
        attackable: the field that may be changed.
        outside: whether the attack writes texts of its own, outside the surface.
        budget: allowed queries per example, or None.
    """

    labels: Sequence[str]
    attackable: str
    outside: bool = False
    budget: int | None = None


def check_trial(
    trial: Trial, example: Example, rules: TrialRules, space: SearchSpace | None = None
) -> str | None:
    """Return what is impossible about a trial, as a part of a sentence; None if nothing is.

    Args:
        trial: the trial.
        example: the example that has its id.
        rules: what holds for all trials of the cell.
        space: what the attack could choose for this example. Without it, changes are only checked
            for their form.
    """
    return next(_problems(trial, example, rules, space), None)


def needs_space(trial: Trial) -> bool:
    """Return whether ``check_trial`` says more about the trial where it has the space."""
    return bool(trial.changes) or trial.verdict == Verdict.HELD_PROVED


def _problems(
    trial: Trial, example: Example, rules: TrialRules, space: SearchSpace | None
) -> Iterator[str]:
    if trial.id != example.id:
        yield f"it is the trial of {trial.id}"
    if trial.label != example.label:
        yield f"its label is {_shown(trial.label)}, and that of the example is {example.label}"
    yield from _numbers(trial, rules)
    yield from _classes(trial, len(rules.labels))
    yield from _verdict(trial)
    yield from _text(trial, example, rules)
    yield from _changes(trial)
    if space is not None:
        yield from _inside(trial, space)


def _numbers(trial: Trial, rules: TrialRules) -> Iterator[str]:
    """Yield counts and times that cannot be."""
    for name, value in (("asked", trial.asked), ("forwarded", trial.forwarded)):
        if not 0 <= value <= MOST_ROWS:
            yield f"'{name}' is {_shown(value)}"
    if not 0 <= trial.seconds <= MOST_SECONDS:
        yield f"'seconds' is {trial.seconds:g}"
    if trial.forwarded > trial.asked:
        yield f"{trial.forwarded} rows were forwarded, and only {trial.asked} asked"
    if rules.budget is not None and trial.asked > rules.budget:
        yield f"{trial.asked} queries are more than the budget of {rules.budget}"
    success = trial.asked_at_success
    if success is not None and trial.verdict != Verdict.FOOLED:
        yield f"'asked_at_success' is {_shown(success)}, and the verdict is {trial.verdict}"
    if success is not None and not 0 <= success <= trial.asked:
        yield f"'asked_at_success' is {_shown(success)}, and 'asked' is {trial.asked}"


def _classes(trial: Trial, classes: int) -> Iterator[str]:
    """Yield predictions and probabilities that no victim of the task gives."""
    for name, number, probs in (
        ("prediction", trial.prediction, trial.probs),
        ("adversarial_prediction", trial.adversarial_prediction, trial.adversarial_probs),
    ):
        if number is not None and not 0 <= number < classes:
            yield f"'{name}' is {_shown(number)}, and there are {classes} labels"
        elif probs is not None:
            yield from _probs(name, number, probs, classes)


def _probs(name: str, number: int | None, probs: Sequence[float], classes: int) -> Iterator[str]:
    if len(probs) != classes:
        yield f"it has {len(probs)} probabilities for {classes} labels"
    elif not all(isfinite(each) and 0 <= each <= 1 for each in probs):
        yield "a probability lies outside of 0 and 1"
    elif abs(sum(probs) - 1) > SUM_TOLERANCE:
        yield f"its probabilities add up to {sum(probs):g}"
    elif number is None:
        yield f"it has probabilities without a '{name}'"
    elif probs[number] < max(probs) - TIE:
        yield f"'{name}' is {number}, which is not its most probable label"


def _verdict(trial: Trial) -> Iterator[str]:
    """Yield how the verdict contradicts the predictions."""
    verdict, right = trial.verdict, trial.prediction == trial.label
    claimed = trial.adversarial_prediction
    if verdict == Verdict.WRONG and (right or trial.prediction is None):
        yield "the verdict is wrong, and the prediction is right"
    if verdict in (Verdict.FOOLED, Verdict.HELD, Verdict.HELD_PROVED) and not right:
        yield f"the verdict is {verdict}, and the prediction is not the label"
    if verdict == Verdict.FOOLED and claimed in (None, trial.label):
        yield "the verdict is fooled, and the adversarial prediction is the label or missing"
    if verdict not in (Verdict.FOOLED, Verdict.HELD) and claimed is not None:
        yield f"the verdict is {verdict}, and there is an adversarial prediction"
    if verdict == Verdict.WRONG and (trial.asked or trial.forwarded):
        yield "the verdict is wrong, and the victim was attacked"
    if verdict in (Verdict.WRONG, Verdict.FOOLED) and trial.problem is not None:
        yield f"the verdict is {verdict}, and there is a problem"
    if verdict == Verdict.ERROR and not trial.problem:
        yield "the verdict is error, and there is no problem"
    if verdict == Verdict.ERROR and trial.prediction is not None and not right:
        yield "the verdict is error, and the clean prediction was wrong already"


def _text(trial: Trial, example: Example, rules: TrialRules) -> Iterator[str]:
    """Yield how the changed text does not fit the verdict or the kind of attack."""
    changed = bool(trial.changes) or trial.text is not None
    if trial.text is not None and not rules.outside:
        yield "it holds a whole text, and the attack stays inside the surface"
    if rules.outside and (trial.changes or trial.verdict == Verdict.HELD_PROVED):
        yield "it holds changes or a proof, and the attack is outside the surface"
    if trial.verdict == Verdict.FOOLED and not changed:
        yield "the verdict is fooled, and there is no changed text"
    if trial.verdict in (Verdict.WRONG, Verdict.HELD_PROVED) and changed:
        yield f"the verdict is {trial.verdict}, and there is a changed text"
    if trial.verdict == Verdict.HELD and changed and trial.adversarial_prediction is None:
        yield "it holds a changed text without an adversarial prediction"
    if trial.text is not None and trial.text == example.fields.get(rules.attackable):
        yield "its text is the unchanged one"


def _changes(trial: Trial) -> Iterator[str]:
    """Yield changes that no attack returns."""
    before = -1
    for change in trial.changes:
        if change.position <= before:
            yield "the positions of its changes do not ascend"
        if change.original == change.substitute:
            yield f"word {_shown(change.position)} is replaced by itself"
        before = change.position


def _inside(trial: Trial, space: SearchSpace) -> Iterator[str]:
    """Yield changes that the space of the example does not allow."""
    for change in trial.changes:
        position, original = change.position, change.original
        if not 0 <= position < len(space.words):
            yield f"it changes word {_shown(position)}, and the text has {len(space.words)} words"
        elif space.words[position] != original:
            yield f"word {position} is {space.words[position]!a} and not {original!a}"
        elif change.substitute not in space.options[position][1:]:
            yield f"the space does not allow {change.substitute!a} for {original!a}"
    if trial.verdict == Verdict.HELD_PROVED and space.cardinality > 1 and not trial.asked:
        yield "it is proved, and nothing was asked about a space of several texts"


def _shown(number: int) -> str:
    """Return a number, or that it is too long to be shown."""
    return str(number) if abs(number) <= MOST_ROWS**2 else "a number of many digits"
