"""Find one training that is counted as several: the same weights under different seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from robench.records.certificate import Certificate
from robench.records.invented_names import same_words
from robench.records.record import Record


def same_weights(subjects: Iterable[Record | Certificate]) -> dict[str, list[str]]:
    """Return the trained victims that stand under more than one seed.

    Two seeds are two trainings: they draw other weights for the classification head and another
    order of examples. So equal weights show a copy. Victims that robench did not train, and saved
    ones with a name of their own, may stand under several seeds: only the attacks draw anew.
    Different rows of one seed may share their weights, too: two rules that choose the epoch can
    choose the same one.

    Returns:
        victim's SHA-256 -> its rows with their seeds, such as ``"rift, seed 0"``.
    """
    found: dict[str, set[tuple[str, int]]] = {}
    for each in subjects:
        if each.victim.kind == "trained" and not _has_own_name(each):
            found.setdefault(each.victim.sha256, set()).add((each.row, seed_of(each)))
    return {
        sha256: [f"{row}, seed {seed}" for row, seed in sorted(places)]
        for sha256, places in found.items()
        if len({seed for _, seed in places}) > 1
    }


def _has_own_name(subject: Record | Certificate) -> bool:
    """Return whether the user named the victim, and not as its defense: that reads as training."""
    name = subject.victim.name
    defense = subject.defense if isinstance(subject, Record) else None
    if name is None or defense is None:
        return name is not None
    return not any(same_words(name, each) for each in (defense.name, defense.label))


def seed_of(subject: Record | Certificate) -> int:
    """Return the seed of the training and of the search."""
    return subject.seed if isinstance(subject, Certificate) else subject.search.seed


def one_training(places: Sequence[str]) -> str:
    """Say that rows are one training."""
    return (
        f"These have the same weights, so they are one training and not {len(places)}: "
        f"{'; '.join(places)}."
    )


def same_weights_notes(records: Iterable[Record]) -> list[str]:
    """Return a sentence below a table for each training that is counted as several."""
    return [one_training(places) for places in same_weights(records).values()]
