"""The surface as TextAttack can use it.

An example is found by its text. Its words have TextAttack's own numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from textattack.shared import AttackedText

from robench._base.errors import UsageError
from robench.models.victim import Victim
from robench.search.jobs import Job, make_jobs
from robench.tasks.example import Example
from robench.text.surface import Surface
from robench.text.words import split_words

Options = Mapping[int, tuple[str, ...]]
"""TextAttack's number of a word of the original text -> its options, the original word first."""


class TextSurface:
    """The search spaces of some examples.

    Attributes:
        attackable: the field whose words may be replaced.
        always_constrained: whether the protocol puts every attack under the language-model
            constraint.

    Args:
        free: the jobs without the language-model constraint.
        bound: the jobs with it, over the same examples.
    """

    def __init__(
        self,
        free: Iterable[Job],
        bound: Iterable[Job],
        attackable: str,
        *,
        always_constrained: bool = False,
    ) -> None:
        self.attackable, self.always_constrained = attackable, always_constrained
        self._jobs = {False: _by_text(free), True: _by_text(bound)}
        self._options: dict[tuple[tuple[str, ...], bool], Options] = {}

    @classmethod
    def of(cls, victim: Victim, surface: Surface, examples: Iterable[Example]) -> TextSurface:
        """Make the part of ``surface`` that ``victim``'s protocol and window allow.

        Raises:
            KeyError: an example is not in the surface.
        """
        examples = list(examples)
        threshold = victim.protocol.lm_threshold
        free, bound = (
            make_jobs(examples, surface, victim, constrained=constrained, threshold=threshold)
            for constrained in (False, True)
        )
        return cls(
            free,
            bound,
            victim.attackable,
            always_constrained=victim.protocol.surface == "constrained",
        )

    def job(self, original: AttackedText, constrained: bool) -> Job:
        """Return the job of an example, found by its text.

        Raises:
            UsageError: the text belongs to no example.
        """
        found = self._jobs[constrained].get(_key(original._text_input))
        if found is None:
            raise UsageError(
                f"The text '{original.text[:40]}…' is not in the surface."
                " Give TextAttack the examples that the surface was made of."
            )
        return found

    def options(self, original: AttackedText, constrained: bool) -> Options:
        """Return the options of each word that robench and TextAttack both see as one word.

        Each of them splits a text in its own way. For example, "don't" is two words for robench
        and one for TextAttack; such a word has no substitutes here.
        """
        key = (_key(original._text_input), constrained)
        if key not in self._options:
            self._options[key] = self._find_options(original, constrained)
        return self._options[key]

    def _find_options(self, original: AttackedText, constrained: bool) -> Options:
        job = self.job(original, constrained)
        column = list(job.example.fields).index(self.attackable)
        text = job.example.fields[self.attackable]
        ours = _spans(text, split_words(text))
        # The words of the space can come from another splitter; then no place is known.
        if len(ours) != len(job.space.words):
            return {}
        # TextAttack counts the words of all columns in one go.
        first = sum(map(len, original.words_per_input[:column]))
        theirs = {}
        for number, span in enumerate(_spans(text, original.words_per_input[column])):
            if span:
                theirs[span] = first + number
        found = {}
        for span, options in zip(ours, job.space.options, strict=True):
            if span in theirs and len(options) > 1:
                found[theirs[span]] = options
        return found


def original_of(text: AttackedText) -> AttackedText:
    """Return the text from which ``text`` was made, over all steps."""
    while "previous_attacked_text" in text.attack_attrs:
        text = text.attack_attrs["previous_attacked_text"]
    return text


def variant(original: AttackedText, fields: Mapping[str, str]) -> AttackedText:
    """Return ``original`` with other words, as TextAttack would have made it.

    TextAttack's logs need the numbers of the changed words.
    """
    new = AttackedText(OrderedDict(zip(original._text_input, fields.values(), strict=True)))
    changed = set()
    for number, (before, after) in enumerate(zip(original.words, new.words, strict=False)):
        if before != after:
            changed.add(number)
    attributes: dict[str, Any] = {
        "newly_modified_indices": changed,
        "modified_indices": set(changed),
        "previous_attacked_text": original,
    }
    if "label_names" in original.attack_attrs:
        attributes["label_names"] = original.attack_attrs["label_names"]
    new.attack_attrs |= attributes
    return new


def _by_text(jobs: Iterable[Job]) -> dict[tuple[str, ...], Job]:
    return {_key(job.example.fields): job for job in jobs}


def _key(fields: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(fields.values())


def _spans(text: str, words: Iterable[str]) -> list[tuple[int, int] | None]:
    """Return where each word stands; None for quotation marks, which the splitter rewrites."""
    spans: list[tuple[int, int] | None] = []
    end = 0
    for word in words:
        start = -1 if word in ("``", "''") else text.find(word, end)
        spans.append((start, start + len(word)) if start >= 0 else None)
        end = start + len(word) if start >= 0 else end
    return spans
