"""Judge what a search returns, by asking the victim about the text itself.

A search asks with token ids that come from a table. A verdict does not rely on these ids. The
changed words are exchanged in the original text, everything else stays as it is, and the victim
reads the string.

That string may split into other words than intended, because sentence ends and quotation marks
depend on their neighbours. So a text counts as FOOLED only if the victim is wrong both on the
string and on the words of the surface. No success rests on an accident of splitting.

Nor does one rest on rounding: both are asked in fp32, whatever the precision of the search. If the
search itself asked about the words in fp32, its answer is reused, because on a CPU the same
question would give the same bits. If string and words disagree, the trial is HELD and its
``problem`` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from robench.search.attack import Change, Verdict
from robench.search.claims import OUTSIDE, claimed_choice
from robench.search.jobs import Job
from robench.search.problems import bounded, describe_error
from robench.text.space import Choice, SearchSpace
from robench.text.words import exchange_words, split_words

ClassOfText = Callable[[Mapping[str, str]], int]
"""Returns the victim's class of a text (all its fields), from the string and in fp32.

It raises whatever the victim raises.
"""
ClassOfWords = Callable[[Choice], int]
"""Returns the victim's class of a choice of the space, from its words' token ids and in fp32."""

MISTAKEN = "the attack claimed a success, but the victim is right on the returned text"
UNCHANGED = "the attack returned the unchanged text as a success"
NOTHING = "the attack returned nothing"


@dataclass(frozen=True)
class Judgement:
    """The verdict on one returned choice or text; the attributes are those of ``Trial``."""

    verdict: Verdict
    adversarial_prediction: int | None = None
    changes: tuple[Change, ...] = ()
    problem: str | None = None
    text: str | None = None
    adversarial_probs: tuple[float, ...] | None = None


def judge_choice(
    job: Job, attackable: str, returned: object, of_text: ClassOfText, of_words: ClassOfWords
) -> Judgement:
    """Judge what a search returned (not None) as a choice of the job's space."""
    choice, problem = _as_choice(job.space, returned)
    if choice is None:
        return Judgement(Verdict.ERROR, problem=problem)
    changes, label = _changes(job.space, choice), job.example.label
    if not changes:
        return Judgement(Verdict.HELD, label, problem=UNCHANGED)
    # The victim may raise any error, and one example's error must not end the run.
    try:
        fields = fields_with_choice(job, attackable, choice)
        text, words = of_text(fields), of_words(choice)
    except Exception as error:
        return Judgement(Verdict.ERROR, problem=_victim_failed(error))
    if text != label and words != label:
        return Judgement(Verdict.FOOLED, text, changes)
    # Splitting is a possible reason only if the string gives other words than the choice.
    intended = tuple(split_words(fields[attackable])) == job.space.text(choice)
    return Judgement(Verdict.HELD, text, changes, _why_rejected(label, text, words, intended))


def judge_text(job: Job, attackable: str, returned: object, of_text: ClassOfText) -> Judgement:
    """Judge what an attack outside the surface returned (not None) as a text."""
    label = job.example.label
    if not isinstance(returned, str):
        problem = f"the attack returned {type(returned).__name__} instead of a text"
        return Judgement(Verdict.ERROR, problem=problem)
    if returned == job.example.fields[attackable]:
        return Judgement(Verdict.HELD, label, problem=UNCHANGED)
    try:
        prediction = of_text({**job.example.fields, attackable: returned})
    except Exception as error:
        return Judgement(Verdict.ERROR, problem=_victim_failed(error), text=returned)
    if prediction == label:
        return Judgement(Verdict.HELD, prediction, problem=MISTAKEN, text=returned)
    return Judgement(Verdict.FOOLED, prediction, text=returned)


def fields_with_choice(
    job: Job, attackable: str, choice: Choice, others: Mapping[int, str] | None = None
) -> dict[str, str]:
    """Return the example's fields with the chosen words in the attackable one.

    Each word is exchanged at its place in the text. If the words of the space do not stand there
    one after the other, because they come from another text, the words are joined by blanks.

    Args:
        others: further words by position, which need not be in the space.
    """
    text, space = job.example.fields[attackable], job.space
    chosen = {change.position: change.substitute for change in _changes(space, choice)}
    changed = exchange_words(text, space.words, chosen | dict(others or {}))
    return dict(job.example.fields) | {attackable: changed}


def _as_choice(space: SearchSpace, returned: object) -> tuple[Choice | None, str | None]:
    """Return the choice, or why the returned object is not one."""
    claim = claimed_choice(returned, len(space.words))
    if claim is None or claim.problem is not None:
        return None, claim.problem if claim else NOTHING
    choice = np.asarray(claim.value)
    return (choice.astype(np.int16), None) if space.contains(choice) else (None, OUTSIDE)


def _changes(space: SearchSpace, choice: Choice) -> tuple[Change, ...]:
    changes = []
    for position in np.flatnonzero(choice).tolist():
        # If a space lists the original word as a substitute, choosing it is not a change.
        word, substitute = space.words[position], space.options[position][choice[position]]
        if word != substitute:
            changes.append(Change(position=position, original=word, substitute=substitute))
    return tuple(changes)


def _why_rejected(label: int, text: int, words: int, intended: bool) -> str:
    """Say why a claimed success does not count.

    Args:
        text: the class of the returned text, read as a string in fp32.
        words: its class by the token ids of its words, in fp32.
        intended: whether the string splits into the words of the choice.
    """
    if text == words == label:
        return MISTAKEN
    if intended:
        cause = "whose margin is so close to zero that rounding decides"
    else:
        cause = "which splits into other words"
    if text == label:
        return (
            "the victim is wrong on the substituted words "
            f"but right on the text that holds them, {cause}"
        )
    return (
        f"the victim is wrong on the text but right on the substituted words that it holds, {cause}"
    )


def _victim_failed(error: Exception) -> str:
    return bounded(f"the victim failed on the returned text: {describe_error(error)}")
