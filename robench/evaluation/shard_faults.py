"""Why shards do not make a whole cell: what is missing, and what does not fit together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError
from robench.evaluation.shard_trials import FoundPart
from robench.records.shard_part import OF_CELL, ShardPart

if TYPE_CHECKING:
    from robench.tasks.example import Example

MOST_NAMED = 8
"""Shards that one sentence names."""


def of_one_run(parts: Sequence[FoundPart]) -> None:
    """Refuse parts of one cell that do not fit together.

    Raises:
        RobenchError: the numbers of shards differ, or a field of the record does.
    """
    first = parts[0]
    for other in parts[1:]:
        if other.part.of != first.part.of:
            raise RobenchError(
                f"{first.shard.title} and {other.shard.title} belong to different divisions of "
                "the examples. Delete the folders of the division that you do not want; a new "
                "shard in the same --out reuses the trials of the old ones"
            )
        differing = _differing(first.part, other.part)
        if differing:
            raise RobenchError(
                f"{first.shard.title} and {other.shard.title} differ in "
                f"{', '.join(differing)}, so they are not of one run. Run one of them again"
            )


def _differing(one: ShardPart, other: ShardPart) -> list[str]:
    """Return the fields of the record in which two parts of one cell differ.

    Findings may hold figures that differ in their last digits between machines.
    """
    names = [
        name for name in (*OF_CELL, "ids_digest") if getattr(one, name) != getattr(other, name)
    ]
    same = other.victim.model_copy(update={"findings": one.victim.findings})
    return names + ([] if one.victim == same else ["victim"])


def what_is_missing(
    parts: Sequence[FoundPart],
    cells: Iterable[Sequence[FoundPart]],
    missing: Sequence[tuple[Example, int]],
    damage: Sequence[str],
    examples: int,
) -> str:
    """Return the sentence about a cell that is not complete.

    Args:
        parts: the parts of the cell.
        cells: the parts of every cell, this one included. The missing shards may belong to one
            that differs in something.
        missing: examples without a trial, with the numbers of their shards.
        damage: sentences about damaged files.
        examples: number of judged examples.
    """
    first, there = parts[0].part, {each.part.number for each in parts}
    absent = [number for number in range(1, first.of + 1) if number not in there]
    said = list(damage)
    if absent:
        named = ", ".join(f"{number}/{first.of}" for number in absent[:MOST_NAMED])
        more = f" and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
        said.append(f"shards that are missing or not finished: {named}{more}")
        said += _elsewhere(parts, cells, absent)
    if missing:
        first_missing, _ = missing[0]
        numbers = sorted({number for _, number in missing} - set(absent))
        again = ", ".join(f"{each}/{first.of}" for each in numbers[:MOST_NAMED])
        said.append(
            f"{len(missing)} of {examples} examples have no trial, the first is {first_missing.id}"
            + (f"; run these shards again, whose trials are not whole: {again}" if again else "")
        )
    return "; ".join(said)


def _elsewhere(
    parts: Sequence[FoundPart], cells: Iterable[Sequence[FoundPart]], absent: Sequence[int]
) -> list[str]:
    """Say how the cell differs that has the missing shards, where there is one."""
    mine = parts[0].part
    for others in cells:
        theirs = {each.part.number for each in others}
        other = others[0].part
        if other.cell == mine.cell or other.of != mine.of or not theirs & set(absent):
            continue
        if len(theirs) == other.of or _place(other) != _place(mine):
            continue
        return [f"{others[0].shard.title} has such a shard, but {_difference(mine, other)}"]
    return []


def _place(part: ShardPart) -> tuple[object, ...]:
    """Return what two cells share that were meant to be one."""
    return part.task.file_part, part.row, part.attack.label, part.limit


def _difference(mine: ShardPart, other: ShardPart) -> str:
    if mine.search.seed != other.search.seed:
        return f"its seed is {other.search.seed} and not {mine.search.seed}"
    if mine.victim.configuration != other.victim.configuration:
        return "its victim has another configuration"
    if _victim(mine) != _victim(other):
        return (
            f"its victim is another one ({_victim(other)[:8]} and not {_victim(mine)[:8]}): train "
            "once, and give every shard that victim, by a shared --out or by --victim FOLDER"
        )
    names = _differing(mine, other)
    if names == ["cell"] and mine.software != other.software:
        return "it was made with other versions of the software or on another kind of device"
    return f"it differs in {', '.join(name for name in names if name != 'cell') or 'its key'}"


def _victim(part: ShardPart) -> str:
    return part.victim.identity or part.victim.sha256
