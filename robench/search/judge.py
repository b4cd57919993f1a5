"""What the core concludes after a search: the victim is asked about what it returned, from the string up.

A search asks with token ids that are gathered from a table; a verdict does not trust that path. The changed words are exchanged in the original
text, all else stays as it is, and the victim reads the string. Should that string ever split into other words than were meant (sentence ends and
quotation marks depend on their neighbours), a text counts as FOOLED only if the victim is wrong both on the string and on the words as the
surface has them: no success rests on an accident of splitting, nor on one of rounding, since both are asked in fp32 whatever the search's precision
(the words by the search itself, where it asked in fp32: on a CPU it would be the same question to the last bit).
Where the two disagree the trial is HELD and its ``problem`` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from robench.search.attack import Change, Verdict
from robench.search.space import Choice, SearchSpace
from robench.search.victim_protocol import Job
from robench.text.words import join_words, replace_words, split_words

ClassOfText = Callable[[Mapping[str, str]], int]
"""The victim's class of a text, all its fields, from the string up and in fp32; raises what the victim raises."""
ClassOfWords = Callable[[Choice], int]
"""The same of a choice of the space, by its words' token ids."""

MISTAKEN = "the attack believed it had fooled the victim, which is right on the returned text"


@dataclass(frozen=True)
class Judgement:
    """The verdict on one returned choice or text, in the words of ``Trial``."""

    verdict: Verdict
    adversarial_prediction: int | None = None
    changes: tuple[Change, ...] = ()
    problem: str | None = None
    text: str | None = None


def judge_choice(
    job: Job, attackable: str, returned: object, of_text: ClassOfText, of_words: ClassOfWords
) -> Judgement:
    """Judge what a search returned (not None) as a choice of the job's space."""
    choice, problem = _read(job.space, returned)
    if choice is None:
        return Judgement(Verdict.ERROR, problem=problem)
    changes, label = _changes(job.space, choice), job.example.label
    if not changes:
        return Judgement(
            Verdict.HELD, label, problem="the attack returned the text unchanged as a success"
        )
    try:
        fields = fields_with_choice(job, attackable, choice)
        text, words = of_text(fields), of_words(choice)
    except Exception as error:
        return Judgement(Verdict.ERROR, problem=_broke(error))
    if text != label and words != label:
        return Judgement(Verdict.FOOLED, text, changes)
    meant = tuple(split_words(fields[attackable])) == job.space.text(choice)
    return Judgement(Verdict.HELD, text, changes, _disbelief(label, text, words, meant))


def judge_text(job: Job, attackable: str, returned: object, of_text: ClassOfText) -> Judgement:
    """Judge what an attack outside the surface returned (not None) as a text."""
    label = job.example.label
    if not isinstance(returned, str):
        return Judgement(
            Verdict.ERROR,
            problem=f"the attack returned {type(returned).__name__} instead of a text",
        )
    if returned == job.example.fields[attackable]:
        return Judgement(
            Verdict.HELD, label, problem="the attack returned the text unchanged as a success"
        )
    try:
        prediction = of_text({**job.example.fields, attackable: returned})
    except Exception as error:
        return Judgement(Verdict.ERROR, problem=_broke(error), text=returned)
    if prediction == label:
        return Judgement(Verdict.HELD, prediction, problem=MISTAKEN, text=returned)
    return Judgement(Verdict.FOOLED, prediction, text=returned)


def fields_with_choice(
    job: Job, attackable: str, choice: Choice, others: Mapping[int, str] | None = None
) -> dict[str, str]:
    """The example's fields, the substituted words of the attackable one exchanged where they stand; ``others`` are words from outside the space.

    Where that field does not split into the words of the space (they come from another splitter), the chosen words are joined by blanks instead.
    """
    text, space = job.example.fields[attackable], job.space
    chosen = {
        index: space.options[index][choice[index]] for index in np.flatnonzero(choice).tolist()
    } | dict(others or {})
    if tuple(split_words(text)) != space.words:
        return dict(job.example.fields) | {
            attackable: join_words(
                chosen.get(index, word) for index, word in enumerate(space.words)
            )
        }
    return dict(job.example.fields) | {attackable: replace_words(text, chosen)}


def _read(space: SearchSpace, returned: object) -> tuple[Choice | None, str | None]:
    """The returned choice, or why it is none."""
    try:
        choice = np.asarray(returned)
    except Exception as error:
        return None, f"the attack returned something that is no choice ({error})"
    if choice.dtype.kind not in "iu":
        return (
            None,
            f"the attack returned {type(returned).__name__} of {choice.dtype} instead of a choice of integers",
        )
    if not space.contains(choice):
        return None, "the attack returned a choice outside the space"
    return choice.astype(np.int16), None


def _changes(space: SearchSpace, choice: Choice) -> tuple[Change, ...]:
    pairs = (
        (position, space.words[position], space.options[position][choice[position]])
        for position in np.flatnonzero(choice).tolist()
    )
    return tuple(
        Change(position=position, original=word, substitute=substitute)
        for position, word, substitute in pairs
        if word != substitute
    )


def _disbelief(label: int, text: int, words: int, meant: bool) -> str:
    """Why a claimed success is none.

    Args:
        text, words: the classes of the returned text, read as a string and asked by its words' token ids, both in fp32.
        meant: whether the string splits into those words.
    """
    if text == words == label:
        return MISTAKEN
    cause = (
        "whose margin is so near to zero that rounding decides"
        if meant
        else "which splits into other words"
    )
    if text == label:
        return f"the victim is wrong on the substituted words but right on the text that holds them, {cause}"
    return (
        f"the victim is wrong on the text but right on the substituted words that it holds, {cause}"
    )


def _broke(error: Exception) -> str:
    return f"the victim broke on the returned text: {describe_error(error)}"


def describe_error(error: BaseException) -> str:
    """What an error says of itself, if it can."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
