"""Make victims of a Python function: one for each task that it is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench.tasks.resolving import expand_tasks, find_task, task_name

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.models.given.answers import Predict
    from robench.models.given.function import FunctionVictim


def function_victims(
    predict: Predict,
    labels: Sequence[str],
    name: str,
    identity: str | None,
    request: EvaluationRequest,
    draws: int = 1,
) -> list[FunctionVictim]:
    """Return the function as a victim of each task of ``request``.

    The columns of its answers are matched with the task's labels by their names.

    Args:
        predict: the function.
        labels: names of its classes, in the order of its answers.
        name: the row in tables.
        identity: text that changes whenever its answers may change, or None.
        request: the evaluation, with its tasks and ``label_map``.
        draws: calls over which its answer to a text is the mean.

    Raises:
        UsageError: a task cannot be found, or the labels do not match.
    """
    from robench.models.given.function import FunctionVictim
    from robench.models.given.labels import match_labels

    victims, tasks = [], expand_tasks(request.tasks)
    for task in tasks:
        cls = find_task(task, request.columns, training=bool(request.defenses), hub=request.hub)
        if not cls.fields:
            raise UsageError(
                f"Task '{task}' does not declare its fields, so nobody knows what the function "
                "gets. Add 'fields' to the class of the task."
            )
        try:
            order = match_labels(name, tuple(labels), cls.labels, request.label_map)
        except UsageError as error:
            if len(tasks) == 1:
                raise
            raise UsageError(f"Task '{task}': {error}") from error
        victims.append(
            FunctionVictim(
                predict,
                cls.labels,
                cls.fields,
                cls.attackable,
                name,
                identity,
                task=task_name(task),
                order=order,
                draws=draws,
            )
        )
    return victims
