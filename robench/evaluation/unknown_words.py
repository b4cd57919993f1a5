"""Count the words that a victim reads as its unknown token, and remove such substitutes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from robench.evaluation.own_pairs import OwnPairs
from robench.evaluation.resolved_victims import TrainedVictim
from robench.records.unknown_notes import space_sentence
from robench.records.unknown_part import PAIRS, UnknownPart
from robench.search.attack import Trial, Verdict
from robench.search.jobs import make_jobs
from robench.text.sources import WithoutPairs
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.evaluation.resolved import ResolvedTask, ResolvedTest
    from robench.search.victim_protocol import Reader
    from robench.tasks.example import Example
    from robench.text.field_encoding import FieldEncoding
    from robench.text.sources import SubstituteSource
    from robench.text.surface import Surface

OUTSIDE = "the attack writes texts of its own"
"""Why an attack outside the surface has no counts of substitutes and positions."""


@dataclass(frozen=True)
class SpaceCounts:
    """The counts of ``UnknownPart`` that are known before any attack."""

    words: int = 0
    words_unknown: int = 0
    substitutes: int = 0
    substitutes_unknown: int = 0
    positions: int = 0
    positions_unknown: int = 0
    like_own: int | None = None
    like_own_known: int | None = None


class UnknownWords:
    """What one victim does not know of one surface; it is counted once for all attacks.

    Args:
        surface: the surface.
        examples: the examples that are judged.
        reader: how the victim reads.
        threshold: see ``Surface.space``.
        source: the substitution set of the surface. Of a held-out one it is counted how much of it
            looks to the victim like the own set.
    """

    def __init__(
        self,
        surface: Surface,
        examples: Sequence[Example],
        reader: Reader,
        threshold: float,
        source: SubstituteSource | None = None,
    ) -> None:
        self._surface, self._examples, self.reader = surface, examples, reader
        self._threshold, self._source = threshold, source
        self._counts: dict[bool, SpaceCounts] = {}

    @cached_property
    def words(self) -> frozenset[str] | None:
        """The unknown words of the surface, or None where the victim cannot tell."""
        return self.reader.encoder_fields.unknown_words(self._surface.vocabulary)

    @cached_property
    def _own(self) -> OwnPairs | None:
        """The pairs of the own set; None where the surface is not made from a held-out one."""
        if not isinstance(self._source, WithoutPairs):
            return None
        return OwnPairs(self._source.own_pairs(), self.reader.encoder_fields)

    def counts(self, *, constrained: bool) -> SpaceCounts | None:
        """Return the counts with or without the language model; None as for ``words``."""
        if self.words is None:
            return None
        if constrained not in self._counts:
            self._counts[constrained] = count_spaces(
                self._surface,
                self._examples,
                self.reader,
                self.words,
                constrained=constrained,
                threshold=self._threshold,
                own=self._own,
            )
        return self._counts[constrained]


def count_spaces(
    surface: Surface,
    examples: Iterable[Example],
    reader: Reader,
    unknown: frozenset[str],
    *,
    constrained: bool,
    threshold: float,
    own: OwnPairs | None = None,
) -> SpaceCounts:
    """Count the words, substitutes and positions that a victim does not know.

    Args:
        surface: the surface.
        examples: the examples that are judged.
        reader: how the victim reads.
        unknown: the unknown words of the surface's vocabulary.
        constrained, threshold: see ``Surface.space``.
        own: the pairs of the own set where the surface is held out from it.
    """
    like_own = like_own_known = 0
    words = words_unknown = substitutes = substitutes_unknown = positions = positions_unknown = 0
    for job in make_jobs(examples, surface, reader, constrained=constrained, threshold=threshold):
        # Words beyond the window have no substitutes and are not seen.
        for word, *others in islice(job.space.options, job.space.visible):
            words += 1
            words_unknown += word in unknown
            if others:
                found = sum(other in unknown for other in others)
                substitutes += len(others)
                substitutes_unknown += found
                positions += 1
                positions_unknown += bool(found) and word not in unknown
                if own is not None:
                    alike = [each for each in others if own.looks_like_one(word, each, unknown)]
                    like_own += len(alike)
                    like_own_known += sum(each not in unknown for each in alike)
    counts = words, words_unknown, substitutes, substitutes_unknown, positions, positions_unknown
    return SpaceCounts(*counts) if own is None else SpaceCounts(*counts, like_own, like_own_known)


def unknown_part(
    spaces: SpaceCounts | None,
    trials: Sequence[Trial],
    examples: Sequence[Example],
    reader: Reader,
    *,
    outside: bool,
) -> UnknownPart:
    """Return the record's part about unknown words.

    Args:
        spaces: what was counted, or None where the victim cannot tell what it does not know.
        trials: one trial per example.
        examples: the examples that are judged, in the same order.
        reader: how the victim reads.
        outside: whether the attack writes texts of its own.
    """
    if spaces is None:
        reason = reader.encoder_fields.no_unknown_words
        return UnknownPart(missing=dict.fromkeys(PAIRS, reason))
    fooled = [
        (trial, example)
        for trial, example in zip(trials, examples, strict=True)
        if trial.verdict == Verdict.FOOLED
    ]
    added = [_added_words(trial, example, reader.attackable) for trial, example in fooled]
    unknown = reader.encoder_fields.unknown_words(word for words in added for word in words)
    counts = {
        "words": spaces.words,
        "words_unknown": spaces.words_unknown,
        "successes": len(fooled),
        "successes_unknown": sum(bool(words & (unknown or frozenset())) for words in added),
    }
    if outside:
        return UnknownPart(**counts, missing={"substitutes": OUTSIDE, "positions": OUTSIDE})
    return UnknownPart(
        **counts,
        substitutes=spaces.substitutes,
        substitutes_unknown=spaces.substitutes_unknown,
        positions=spaces.positions,
        positions_unknown=spaces.positions_unknown,
        like_own=spaces.like_own,
        like_own_known=spaces.like_own_known,
    )


def _added_words(trial: Trial, example: Example, attackable: str) -> frozenset[str]:
    """Return the words that the attack put into the text."""
    if trial.text is not None:
        original = split_words(example.fields[attackable])
        return frozenset(split_words(trial.text)) - frozenset(original)
    return frozenset(change.substitute for change in trial.changes)


@dataclass(frozen=True)
class PlainReader:
    """How a victim will read; see ``Reader``."""

    attackable: str
    encoder_fields: FieldEncoding


def reader_before_training(task: ResolvedTask) -> PlainReader | None:
    """Return how the victims read that a run trains, or None if it trains none.

    All of them have the same encoder, and so the same tokenizer.
    """
    from robench.models.encoders import load_tokenizer
    from robench.models.victim import build_reader

    fit = next((each.fit for each in task.victims if isinstance(each, TrainedVictim)), None)
    if fit is None:
        return None
    cls, fields = task.task, list(task.splits.test[0].fields)
    _, encoder_fields = build_reader(
        load_tokenizer(fit.info), fit.protocol, fields, cls.attackable, cls.max_tokens
    )
    return PlainReader(cls.attackable, encoder_fields)


def remark_before_training(
    task: ResolvedTask,
    test: ResolvedTest,
    surface: Surface,
    threshold: float,
    *,
    removed: bool,
) -> str | None:
    """Return what the victims that a run trains will not know, or None if that is no substitute.

    The language model's constraint is left out. ``removed`` says whether the run removes unknown
    substitutes.
    """
    reader = reader_before_training(task)
    if reader is None:
        return None
    counts = UnknownWords(surface, test.examples, reader, threshold).counts(constrained=False)
    if counts is None or not counts.substitutes_unknown:
        return None
    part = UnknownPart(**asdict(counts), missing={"successes": "nothing is attacked yet"})
    return f"Unknown words on {test.title}: {space_sentence(part, removed=removed)}"
