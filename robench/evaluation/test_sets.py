"""Resolve the test sets of a task: its own, and those of other tasks and files (``--test``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench.evaluation.resolved import ResolvedTest
from robench.tasks.balanced import balanced_prefix
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.checks import check_splits
from robench.tasks.example import Example
from robench.tasks.frozen import content_key, digest
from robench.tasks.loading import load_splits
from robench.tasks.resolving import find_task, is_own_data, task_name
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved_victims import ResolvedVictim


def resolve_tests(
    request: EvaluationRequest,
    given_name: str,
    cls: type[Task],
    splits: Splits,
    victims: Sequence[ResolvedVictim],
    report: Reporter,
) -> list[ResolvedTest]:
    """Return the test sets of a task: those of ``--test``, or its own if none is named.

    Args:
        request: the request.
        given_name: the task, as the user named it.
        cls: its class.
        splits: its examples.
        victims: its victims. Their windows decide how many words may be replaced.
        report: receives the progress.

    Raises:
        UsageError: a test set does not fit the task.
    """
    name = task_name(given_name)
    names = request.tests or (given_name,)
    if request.ids is not None and given_name not in names:
        raise UsageError(
            f"--ids names test examples of '{name}', which --test leaves out. Leave --ids out, or "
            f"add --test {given_name}."
        )
    tests = []
    for each in names:
        if each == given_name:
            tests.append(_make_test(request, name, None, cls, splits, cls, victims, report))
            continue
        other, other_splits = _read_other(request, each, name, cls, splits, report)
        if any(victim.train_pool is not None for victim in victims):
            other_splits = without_known_texts(name, splits, task_name(each), other_splits, report)
        tests.append(
            _make_test(request, name, task_name(each), cls, other_splits, other, victims, report)
        )
    return tests


def _make_test(
    request: EvaluationRequest,
    name: str,
    other: str | None,
    cls: type[Task],
    splits: Splits,
    source: type[Task],
    victims: Sequence[ResolvedVictim],
    report: Reporter,
) -> ResolvedTest:
    """Return one test set.

    Args:
        request: the request.
        name: name of the task.
        other: name of the other task or file, or None for the task's own test set.
        cls: class of the task.
        splits: examples of the test set's task, with the labels of the task.
        source: class of the test set's task.
        victims: victims of the task.
        report: receives messages.
    """
    from robench.text.substitutions import load_substitutions

    examples, limit = select_examples(other or name, splits.test, request.limit, report)
    return ResolvedTest(
        task=name,
        other=other,
        test_name=splits.test_name if other is None else f"{other}:{splits.test_name}",
        digest=splits.digest,
        total=len(splits.test),
        whole=splits.test,
        synthetic=source.synthetic,
        examples=examples,
        limit=limit,
        substitutions=load_substitutions(source.substitutions, request.data),
        max_words=max_words(cls, splits.test, victims),
        held_out=source.held_out,
    )


def select_examples(
    name: str, test: Sequence[Example], limit: int | None, report: Reporter
) -> tuple[Sequence[Example], int | None]:
    """Return the examples to attack, and their number if the limit has an effect.

    Args:
        name: name of the test set, for the message.
        test: the whole test set.
        limit: ``--limit``.
        report: receives a message about a limit without effect.
    """
    if limit is None:
        return test, None
    if limit >= len(test):
        report.message(f"{name} has {len(test)} test examples, so --limit {limit} has no effect.")
        return test, None
    return balanced_prefix(test, limit), limit


def max_words(cls: type[Task], test: Sequence[Example], victims: Sequence[ResolvedVictim]) -> int:
    """Return the index from which words have no substitutes, because no victim sees them.

    It is the task's window, unless a victim reads more and a text is longer. It does not depend on
    the limit, because it is part of the surface's key.

    Args:
        cls: class of the task.
        test: the whole test set.
        victims: the victims of the task.
    """
    windows = [victim.max_tokens for victim in victims]
    if all(window is not None and window <= cls.max_tokens for window in windows):
        return cls.max_tokens
    longest = max(len(split_words(example.fields[cls.attackable])) for example in test)
    largest = max(longest if window is None else window for window in windows)
    return max(cls.max_tokens, min(longest, largest))


def _read_other(
    request: EvaluationRequest,
    given_name: str,
    task: str,
    cls: type[Task],
    splits: Splits,
    report: Reporter,
) -> tuple[type[Task], Splits]:
    """Read another task or file, and give its test examples the labels of ``task``.

    Returns:
        The class of the other task, and its splits.

    Raises:
        UsageError: labels or fields differ.
    """
    name, fields = task_name(given_name), tuple(splits.test[0].fields)
    columns = request.columns
    if is_own_data(given_name):
        # The columns of ``--task FILE`` hold for this file as well. Its own files do not.
        columns = replace(
            columns,
            train_file=None,
            dev_file=None,
            test_file=None,
            labels=cls.labels,
            fields=fields,
            substitutions=columns.substitutions or cls.substitutions,
            max_tokens=cls.max_tokens,
        )
    other = find_task(given_name, columns, training=False, hub=request.hub)
    # A wrong task is refused before its data are read.
    _check_labels(task, cls, name, other)
    report.started("data", name, None)
    pool = request.train_pool if request.train_pool in other.train_pools else None
    source = DataSource(request.data, request.hub)
    loaded = load_splits(name, other, source, train_pool=pool)
    check_splits(name, other, loaded, training=False)
    report.finished(f"{len(loaded.test):,} test examples from {loaded.origin}")
    for remark in loaded.remarks:
        report.message(remark)
    return other, with_labels_of(task, cls, fields, name, other, loaded)


def without_known_texts(
    task: str, splits: Splits, name: str, loaded: Splits, report: Reporter
) -> Splits:
    """Return ``loaded`` without the test texts that are train or dev texts of ``task``.

    Every victim of the run is judged on the same texts, so that their rows can be compared.

    Raises:
        UsageError: no test example is left.
    """
    order = tuple(splits.test[0].fields)

    def key(example: Example) -> tuple[str, ...]:
        # Another task may have the same fields in another order.
        return content_key(
            replace(example, fields={field: example.fields[field] for field in order})
        )

    known = {key(example) for part in (splits.train, splits.dev) for example in part}
    test = [example for example in loaded.test if key(example) not in known]
    total, left_out = len(loaded.test), len(loaded.test) - len(test)
    if not left_out:
        return loaded
    if not test:
        raise UsageError(
            f"--test {name}: every text is also in the train or dev set of '{task}', with which a "
            "victim was trained. Give texts that it has not seen."
        )
    report.message(
        f"{left_out:,} of the {total:,} test examples of {name} are left out, because their texts "
        f"are in the train or dev set of {task}."
    )
    # The name tells how many examples there are.
    renamed = {f"frozen-{total}": f"frozen-{len(test)}"}
    test_name = renamed.get(loaded.test_name, loaded.test_name)
    return replace(loaded, test=test, test_name=test_name, digest=digest(test))


def _check_labels(task: str, cls: type[Task], name: str, other: type[Task]) -> None:
    """Refuse a test set with other labels than those of ``task``."""
    if sorted(other.labels) != sorted(cls.labels):
        raise UsageError(
            f"--test {name}: its labels ({', '.join(other.labels)}) are not those of '{task}' "
            f"({', '.join(cls.labels)}). Labels are matched by name, and all of them must be there."
        )


def with_labels_of(
    task: str, cls: type[Task], fields: Sequence[str], name: str, other: type[Task], loaded: Splits
) -> Splits:
    """Return ``loaded`` with labels counted as ``cls`` counts them, matched by name."""
    found = tuple(loaded.test[0].fields)
    if sorted(found) != sorted(fields):
        raise UsageError(
            f"--test {name}: its fields ({', '.join(found)}) are not those of '{task}' "
            f"({', '.join(fields)})."
        )
    if tuple(other.labels) == tuple(cls.labels):
        return loaded
    place = {number: cls.labels.index(label) for number, label in enumerate(other.labels)}
    test = [replace(example, label=place[example.label]) for example in loaded.test]
    return replace(loaded, test=test, digest=digest(test))
