"""A record's counts for each label: how many of its examples are right, and how many hold.

Two victims with the same accuracy differ if one of them answers nearly always the same label. Such
a victim is right on most texts of that label, and attacks succeed less often there than elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import NonNegativeInt, model_validator

from robench.records.part import RecordPart
from robench.search.attack import Trial, Verdict

HOLDS = (Verdict.HELD, Verdict.HELD_PROVED)


class LabelCounts(RecordPart):
    """What a record says of one label.

    Attributes:
        label: its name.
        examples: judged examples of this label.
        answered: judged examples for which the victim answers this label without an attack.
        right: examples of this label that are right without an attack.
        robust: those of them that held, with or without a proof.
    """

    label: str
    examples: NonNegativeInt
    answered: NonNegativeInt
    right: NonNegativeInt
    robust: NonNegativeInt

    @model_validator(mode="after")
    def _counts_agree(self) -> LabelCounts:
        if not self.robust <= self.right <= min(self.examples, self.answered):
            raise ValueError(
                f"of {self.examples} examples with the label '{self.label}', which the victim "
                f"answers {self.answered} times, {self.right} cannot be right and {self.robust} "
                "of these hold"
            )
        return self


def count_by_label(labels: Sequence[str], trials: Iterable[Trial]) -> tuple[LabelCounts, ...]:
    """Count the trials for each label.

    Args:
        labels: the names of the labels, in the order of their numbers.
        trials: one trial per judged example.
    """
    examples: Counter[int] = Counter()
    answered: Counter[int | None] = Counter()
    right: Counter[int] = Counter()
    robust: Counter[int] = Counter()
    for trial in trials:
        examples[trial.label] += 1
        answered[trial.prediction] += 1
        right[trial.label] += trial.prediction == trial.label
        robust[trial.label] += trial.verdict in HOLDS
    return tuple(
        LabelCounts(
            label=label,
            examples=examples[number],
            answered=answered[number],
            right=right[number],
            robust=robust[number],
        )
        for number, label in enumerate(labels)
    )


def check_sums(
    labels: Sequence[LabelCounts], *, wrong: int, fooled: int, held: int, error: int
) -> None:
    """Raise ValueError unless the counts of the labels add up to those of their record.

    An example with an error may be right without an attack, or wrong, or without an answer.

    Args:
        labels: the counts for each label.
        wrong, fooled, error: examples of the record with this verdict.
        held: examples that held, with or without a proof.
    """
    names = [each.label for each in labels]
    if len(set(names)) != len(names):
        raise ValueError("a label stands twice among the counts for each label")
    sums = {
        name: sum(getattr(each, name) for each in labels)
        for name in ("examples", "answered", "right", "robust")
    }
    right, total = fooled + held, wrong + fooled + held + error
    possible = {
        "examples": (total, total),
        "answered": (total - error, total),
        "right": (right, right + error),
        "robust": (held, held),
    }
    for name, (least, most) in possible.items():
        if not least <= sums[name] <= most:
            raise ValueError(
                f"the counts for each label add up to {sums[name]} '{name}', which the counts of "
                "the record do not allow"
            )
