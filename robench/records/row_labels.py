"""Names of rows and of test sets, as tables and file names show them."""

from __future__ import annotations


def row_label(kind: str, name: str | None, defense: str) -> str:
    """Return the label of a victim's row in tables.

    Args:
        kind: ``VictimPart.kind``.
        name: name that the user gave the victim, or None.
        defense: label of the defense, for a victim without a name.
    """
    if kind == "trained":
        return name or defense
    return f"{name} ({kind})"


def test_label(task: str, other: str | None) -> str:
    """Return the name of a task with its test set: ``"sst2"``, or ``"sst2-on-imdb"``.

    Args:
        task: name of the task.
        other: name of another task or file whose examples are judged, or None.
    """
    return task if other is None else f"{task}-on-{other}"
