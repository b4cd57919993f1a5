"""Carry a request out with the Punkt parameters that it names."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from robench.evaluation.request import EvaluationRequest
from robench.text.punkt import using_punkt

P = ParamSpec("P")
R = TypeVar("R")


def with_chosen_punkt(
    function: Callable[Concatenate[EvaluationRequest, P], R],
) -> Callable[Concatenate[EvaluationRequest, P], R]:
    """Let ``EvaluationRequest.punkt`` hold while ``function`` runs.

    The function raises UsageError if NLTK's own parameters are wanted and not installed.
    """

    @wraps(function)
    def run(request: EvaluationRequest, *args: P.args, **kwargs: P.kwargs) -> R:
        with using_punkt(request.punkt):
            return function(request, *args, **kwargs)

    # The wrapper keeps the name of its first parameter, which the type cannot say.
    return cast("Callable[Concatenate[EvaluationRequest, P], R]", run)
