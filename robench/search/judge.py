"""What the core concludes: the clean prediction before a search, the verdict after it, both asked of the victim from the text up.

A search asks with token ids that are gathered from a table; a verdict does not trust that path. The changed words are exchanged in the original
text, all else stays as it is, and the victim reads the string. Should that string ever split into other words than were meant (sentence ends and
quotation marks depend on their neighbours), a text counts as FOOLED only if the victim is wrong both on the string and on the words as the
surface has them: no success rests on an accident of splitting, nor on one of rounding, since both are asked in fp32 whatever the search's precision
(the words by the search itself, where it asked in fp32; it would be the same question to the last bit).
Where the two disagree the trial is HELD and its ``problem`` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robench.search.attack import Change, Verdict
from robench.search.batching import answers
from robench.search.port import Job, SearchVictim
from robench.search.space import Choice, SearchSpace
from robench.text.words import join_words, replace_words, split_words


@dataclass(frozen=True)
class Ruling:
    """The verdict on one returned choice, in the words of ``Trial``."""

    verdict: Verdict
    adversarial_prediction: int | None = None
    changes: tuple[Change, ...] = ()
    problem: str | None = None
    text: str | None = None


class _Claim(NamedTuple):
    """A choice to be judged: the number of its job, and the class that its search found for it."""

    number: int
    job: Job
    choice: Choice
    recalled: int | None


def clean_predictions(victim: SearchVictim, jobs: Sequence[Job]) -> list[int | Exception]:
    """The class of each clean text; where the victim breaks on one, the reason stands in its place."""
    if not jobs:
        return []
    try:
        return list(predictions(victim, [dict(job.example.fields) for job in jobs]))
    except Exception as error:
        return [error] if len(jobs) == 1 else [outcome for job in jobs for outcome in clean_predictions(victim, [job])]


Recall = Callable[[Choice], int | None]
"""The class that a choice of a job's space had when the search asked about it in fp32; None where it did not."""


def rule(victim: SearchVictim, jobs: Sequence[Job], choices: Sequence[object], recalls: Sequence[Recall] | None = None) -> list[Ruling]:
    """Judge what the searches returned for ``jobs`` (none of them None), in one question to the victim.

    Args:
        recalls: of each search, so that the words that it asked about are not asked about again; the string always is.
    """
    rulings: dict[int, Ruling] = {}
    waiting: list[_Claim] = []
    for number, (job, returned) in enumerate(zip(jobs, choices, strict=True)):
        choice, problem = _read(job.space, returned)
        if choice is None:
            rulings[number] = Ruling(Verdict.ERROR, problem=problem)
        elif not (changes := _changes(job.space, choice)):
            rulings[number] = Ruling(Verdict.HELD, job.example.label, problem="the attack returned the text unchanged as a success")
        else:
            waiting.append(_Claim(number, job, choice, None if recalls is None else recalls[number](choice)))
            rulings[number] = Ruling(Verdict.ERROR, changes=changes)
    if waiting:
        _ask(victim, waiting, rulings)
    return [rulings[number] for number in range(len(jobs))]


def changed_text(job: Job, attackable: str, choice: Choice, others: Mapping[int, str] | None = None) -> dict[str, str]:
    """The example's fields, the substituted words of the attackable one exchanged where they stand; ``others`` are words from outside the space.

    Where that field does not split into the words of the space (they come from another splitter), the chosen words are joined by blanks instead.
    """
    text, space = job.example.fields[attackable], job.space
    chosen = {index: space.options[index][choice[index]] for index in np.flatnonzero(choice).tolist()} | dict(others or {})
    if tuple(split_words(text)) != space.words:
        return dict(job.example.fields) | {attackable: join_words(chosen.get(index, word) for index, word in enumerate(space.words))}
    return dict(job.example.fields) | {attackable: replace_words(text, chosen)}


def _read(space: SearchSpace, returned: object) -> tuple[Choice | None, str | None]:
    """The returned choice, or why it is none."""
    try:
        choice = np.asarray(returned)
    except Exception as error:
        return None, f"the attack returned something that is no choice ({error})"
    if choice.dtype.kind not in "iu":
        return None, f"the attack returned {type(returned).__name__} of {choice.dtype} instead of a choice of integers"
    if not space.contains(choice):
        return None, "the attack returned a choice outside the space"
    return choice.astype(np.int16), None


def _changes(space: SearchSpace, choice: Choice) -> tuple[Change, ...]:
    pairs = ((position, space.words[position], space.options[position][choice[position]]) for position in np.flatnonzero(choice).tolist())
    return tuple(Change(position=position, original=word, substitute=substitute) for position, word, substitute in pairs if word != substitute)


def _ask(victim: SearchVictim, waiting: Sequence[_Claim], rulings: dict[int, Ruling]) -> None:
    try:
        texts = [changed_text(claim.job, victim.attackable, claim.choice) for claim in waiting]
        by_text = predictions(victim, texts)
        by_words = _predict_words(victim, waiting)
    except Exception as error:
        if len(waiting) > 1:  # find out on whose text the victim breaks
            for one in waiting:
                _ask(victim, [one], rulings)
            return
        rulings[waiting[0].number] = Ruling(Verdict.ERROR, problem=f"the victim broke on the returned text: {type(error).__name__}: {error}")
        return
    for claim, fields, text, words in zip(waiting, texts, by_text, by_words, strict=True):
        label, changes = claim.job.example.label, rulings[claim.number].changes
        if text != label and words != label:
            rulings[claim.number] = Ruling(Verdict.FOOLED, text, changes)
        else:
            meant = tuple(split_words(fields[victim.attackable])) == claim.job.space.text(claim.choice)
            rulings[claim.number] = Ruling(Verdict.HELD, text, changes, _disbelief(label, text, words, meant))


def _disbelief(label: int, text: int, words: int, meant: bool) -> str:
    """Why a claimed success is none.

    Args:
        text, words: the classes of the returned text, read as a string and asked by its words' token ids, both in fp32.
        meant: whether the string splits into those words.
    """
    if text == words == label:
        return "the attack believed it had fooled the victim, which is right on the returned text"
    cause = "whose margin is so near to zero that rounding decides" if meant else "which splits into other words"
    if text == label:
        return f"the victim is wrong on the substituted words but right on the text that holds them, {cause}"
    return f"the victim is wrong on the text but right on the substituted words that it holds, {cause}"


def predictions(victim: SearchVictim, texts: Sequence[Mapping[str, str]]) -> list[int]:
    """The class of each text, from the string up, in fp32; raises ValueError where the victim's answer is none."""
    probs = np.asarray(victim.probs_of_texts(texts))
    if probs.ndim != 2 or len(probs) != len(texts) or not np.isfinite(probs).all():
        raise ValueError(f"the victim answered {len(texts)} texts with an array of shape {probs.shape}, or with numbers that are not finite")
    return [int(prediction) for prediction in probs.argmax(axis=1)]


def _predict_words(victim: SearchVictim, claims: Sequence[_Claim]) -> list[int]:
    """The classes of substituted words by the searches' own path, in the shapes that a search would use: as recalled, or asked now."""
    classes = [claim.recalled for claim in claims]
    unknown = [number for number, recalled in enumerate(classes) if recalled is None]
    if unknown:
        encoders = [(victim.encoder_fields.candidates(claim.job.words, claim.job.space), claim.choice) for claim in map(claims.__getitem__, unknown)]
        logits = answers(victim, [(candidates, *candidates.encode(choice[None])) for candidates, choice in encoders])
        for number, prediction in zip(unknown, logits.argmax(axis=1).tolist(), strict=True):
            classes[number] = prediction
    return [recalled for recalled in classes if recalled is not None]
