"""The surface as TextAttack can use it: found by an example's text, addressed by TextAttack's own word numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from textattack.shared import AttackedText

from robench._base.errors import UsageError
from robench.models.victim import Victim
from robench.search.jobs import make_jobs
from robench.search.victim_protocol import Job
from robench.tasks.example import Example
from robench.text.surface import Surface
from robench.text.words import split_words

Options = Mapping[int, tuple[str, ...]]
"""TextAttack's number of a word of the original text -> what may stand there, the original word first."""


class TextSurface:
    """The search spaces of some examples.

    Attributes:
        attackable: the field whose words may be replaced.
        always_constrained: whether the protocol puts every attack under the language-model constraint.

    Args:
        free, bound: the jobs without and with the language-model constraint, over the same examples.
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
        self._jobs = {
            constrained: {_key(job.example.fields): job for job in jobs}
            for constrained, jobs in ((False, free), (True, bound))
        }
        self._options: dict[tuple[tuple[str, ...], bool], Options] = {}

    @classmethod
    def of(cls, victim: Victim, surface: Surface, examples: Iterable[Example]) -> TextSurface:
        """What ``victim``'s protocol and window leave of ``surface``; raises KeyError for an example that is not in it."""
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
        """The job of an example, by its text; raises UsageError for a text that is none of them."""
        found = self._jobs[constrained].get(_key(original._text_input))
        if found is None:
            raise UsageError(
                f"The text '{original.text[:40]}…' is not in the surface. Give TextAttack the examples that the surface was made of."
            )
        return found

    def options(self, original: AttackedText, constrained: bool) -> Options:
        """What may stand for each word that is one word to TextAttack as well.

        Both split a text in their own way: of "don't" robench makes two words and TextAttack one, which then has no substitutes here.
        """
        key = (_key(original._text_input), constrained)
        if key not in self._options:
            job = self.job(original, constrained)
            columns = list(job.example.fields)
            before = columns.index(self.attackable)
            first = sum(map(len, original.words_per_input[:before]))
            text = job.example.fields[self.attackable]
            theirs = {
                span: first + number
                for number, span in enumerate(_spans(text, original.words_per_input[before]))
                if span
            }
            ours = _spans(text, split_words(text))
            listed = (
                zip(ours, job.space.options, strict=True)
                if len(ours) == len(job.space.words)
                else ()
            )
            self._options[key] = {
                theirs[span]: options
                for span, options in listed
                if span in theirs and len(options) > 1
            }
        return self._options[key]


def original_of(text: AttackedText) -> AttackedText:
    """The text that ``text`` was made from, step by step."""
    while "previous_attacked_text" in text.attack_attrs:
        text = text.attack_attrs["previous_attacked_text"]
    return text


def variant(original: AttackedText, fields: Mapping[str, str]) -> AttackedText:
    """``original`` with other words, as TextAttack would have made it (its logs want to know which)."""
    new = AttackedText(OrderedDict(zip(original._text_input, fields.values(), strict=True)))
    changed = {
        number
        for number, pair in enumerate(zip(original.words, new.words, strict=False))
        if pair[0] != pair[1]
    }
    attributes: dict[str, Any] = {
        "newly_modified_indices": changed,
        "modified_indices": set(changed),
        "previous_attacked_text": original,
    }
    if "label_names" in original.attack_attrs:
        attributes["label_names"] = original.attack_attrs["label_names"]
    new.attack_attrs |= attributes
    return new


def _key(fields: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(fields.values())


def _spans(text: str, words: Iterable[str]) -> list[tuple[int, int] | None]:
    """Where each word stands; None for one that the splitter wrote otherwise (quotation marks)."""
    spans: list[tuple[int, int] | None] = []
    end = 0
    for word in words:
        start = -1 if word in ("``", "''") else text.find(word, end)
        spans.append((start, start + len(word)) if start >= 0 else None)
        end = start + len(word) if start >= 0 else end
    return spans
