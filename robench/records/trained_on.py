"""What the training of a victim used of what attacks use, as its record says it."""

from __future__ import annotations

from pydantic import JsonValue

from robench.records.part import RecordPart, Sha256


class TrainingAttackPart(RecordPart):
    """An attack that made training texts.

    Attributes:
        name: registered name.
        options: all options with their values.
        outside: whether it wrote texts of its own, outside every substitution set.
    """

    name: str
    options: dict[str, JsonValue]
    outside: bool = False


class TrainedOnPart(RecordPart):
    """The substitution set and the attacks that a defense trained with.

    Attributes:
        substitutions: name of the set whose substitutes the training used, by itself or through an
            attack. None where it used none.
        substitutions_sha256: hash of what decides that set.
        attacks: the attacks that made training texts.
    """

    substitutions: str | None = None
    substitutions_sha256: Sha256 | None = None
    attacks: tuple[TrainingAttackPart, ...] = ()
