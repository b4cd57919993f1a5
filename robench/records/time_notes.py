"""How long the trainings and searches of a table took, as its records say."""

from __future__ import annotations

from collections.abc import Sequence

from robench._base.counted import counted
from robench._base.progress_lines import duration
from robench.records.record import Record


def time_lines(records: Sequence[Record]) -> list[str]:
    """Return a sentence on the time of all trainings and searches; none where nothing was measured.

    A training counts once, however many attacks its victim met.

    Args:
        records: the records of a table.
    """
    trainings = {
        (record.row, record.search.seed): record.cost.training_seconds
        for record in records
        if record.cost.training_seconds is not None
    }
    searches = [
        record.cost.attack_seconds
        for record in records
        if record.attack.searches and record.cost.attack_seconds is not None
    ]
    parts = [
        f"{counted(len(seconds), name)} {duration(sum(seconds))}"
        for name, seconds in (("training", [*trainings.values()]), ("attack", searches))
        if sum(seconds)
    ]
    if not parts:
        return []
    return [
        f"Time: {', '.join(parts)}, added up over all processes. Other work may have shared "
        "the machine."
    ]
