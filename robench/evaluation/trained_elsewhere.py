"""Let a backend train the victims that a run needs, before the run needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from robench.evaluation.resolved_victims import TrainedVictim
from robench.evaluation.victims import victim_title

if TYPE_CHECKING:
    from robench.evaluation.backend import Backend
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved import ResolvedRequest


def trained_elsewhere(
    backend: Backend, request: EvaluationRequest, resolved: ResolvedRequest
) -> tuple[EvaluationRequest, Mapping[str, str]]:
    """Let the backend train the victims that are missing, where it does that itself.

    Returns:
        The request, which trains none of them again, and title -> reason of those that failed.
    """
    if not backend.trains:
        return request, {}
    wanted = {
        victim_title(victim, task): victim
        for task in resolved.tasks
        for victim in task.victims
        if isinstance(victim, TrainedVictim) and victim.state(request) == "train"
    }
    failed = backend.train(wanted) if wanted else {}
    return request.model_copy(update={"retrain": False}), failed
