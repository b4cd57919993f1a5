"""Compare the test set of a record with the data of its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.records.record import Record
    from robench.records.test_set import TestSet
    from robench.verification.workshop import Workshop


def task_problems(record: Record, texts: TestSet, workshop: Workshop) -> list[str]:
    """Return how the test set of a record differs from what its task gives here."""
    task, found = record.task, []
    if task.examples != len(texts.examples):
        found.append(f"{task.examples} examples, and the test set has {len(texts.examples)}")
    splits = workshop.splits(task)
    frozen = task.other_test is None and task.test_name.startswith("frozen-")
    if splits is not None and frozen and splits.digest != task.digest:
        found.append("its test examples are not the frozen ones of the task")
    if splits is not None and frozen and splits.test_name != task.test_name:
        found.append(f"its test set is called '{task.test_name}' and not '{splits.test_name}'")
    return found
