"""Make the record of a cell from the parts of its shards and from all its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench.evaluation.fresh_draws import fresh_draws_part
from robench.evaluation.record_assembly import parts_of_trials
from robench.evaluation.shard_trials import FoundPart
from robench.records.record import Record
from robench.records.run_parts import CostPart, SoftwarePart
from robench.records.shard_part import OF_CELL, ShardPart

if TYPE_CHECKING:
    from robench.records.record import VictimPart
    from robench.records.test_set import TestSet
    from robench.records.unknown_part import UnknownPart
    from robench.search.attack import Trial
    from robench.tasks.example import Example


def merged_record(
    found: Sequence[FoundPart],
    trials: Sequence[Trial],
    examples: Sequence[Example],
    test_set: TestSet,
) -> Record:
    """Return the record of a cell.

    Args:
        found: a part of every shard, in the order of the shards. Of a shard that occurs twice the
            first part counts.
        trials: one trial per example, in the order of the examples.
        examples: the judged examples.
        test_set: the test set that they belong to.
    """
    by_number: dict[int, ShardPart] = {}
    for each in found:
        by_number.setdefault(each.part.number, each.part)
    parts = list(by_number.values())
    first = parts[0]
    return Record(
        **{name: getattr(first, name) for name in OF_CELL},
        **parts_of_trials(trials, examples, test_set.attackable, first.cell, test_set.labels),
        victim=_victim(parts),
        unknown=_unknown(parts),
        fresh_draws=fresh_draws_part(_fresh(parts)),
        cost=_cost(parts, trials),
        software=_software(parts),
        created=max(part.created for part in parts),
    )


def _victim(parts: Sequence[ShardPart]) -> VictimPart:
    """Return the victim with the findings of all shards, one of each name."""
    findings: dict[str, str] = {}
    for part in parts:
        for finding in part.victim.findings:
            findings.setdefault(finding.partition(":")[0], finding)
    return parts[0].victim.model_copy(update={"findings": tuple(findings.values())})


def _unknown(parts: Sequence[ShardPart]) -> UnknownPart:
    """Return the counts of the surface, which all shards share, with the successes added up."""
    first = parts[0].unknown
    if first.successes is None:
        return first
    counts = {
        name: sum(getattr(part.unknown, name) or 0 for part in parts)
        for name in ("successes", "successes_unknown")
    }
    return first.model_copy(update=counts)


def _fresh(parts: Sequence[ShardPart]) -> list[tuple[str, int]] | None:
    """Return the fooling texts that were asked again, in the order of the examples."""
    if any(part.fresh_texts is None for part in parts):
        return None
    texts = [text for part in parts for text in part.fresh_texts or ()]
    return sorted((text.id, text.fooled) for text in texts)


def _cost(parts: Sequence[ShardPart], trials: Sequence[Trial]) -> CostPart:
    """Add up the costs; the memory is the largest, and the training that of the first shard."""
    first = parts[0].cost
    memory = [
        part.cost.peak_memory_bytes for part in parts if part.cost.peak_memory_bytes is not None
    ]
    missing = {name: why for name, why in first.missing.items() if name != "peak_memory_bytes"}
    if not memory:
        missing["peak_memory_bytes"] = first.missing["peak_memory_bytes"]
    return CostPart(
        training_seconds=first.training_seconds,
        attack_seconds=round(sum(trial.seconds for trial in trials), 3),
        asked=sum(part.cost.asked for part in parts),
        forwarded=sum(part.cost.forwarded for part in parts),
        peak_memory_bytes=max(memory, default=None),
        missing=missing,
    )


def _software(parts: Sequence[ShardPart]) -> SoftwarePart:
    """Return the software of the first shard, with the devices of all."""
    devices = dict.fromkeys(part.software.device for part in parts)
    return parts[0].software.model_copy(
        update={
            "device": ", ".join(devices),
            "foreign_code": any(part.software.foreign_code for part in parts),
        }
    )
