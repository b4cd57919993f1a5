"""Take first what no other run in the same folder works on.

Two runs then share their work instead of waiting for each other. Only the order changes, and no
result depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from robench._base.waiting import is_held
from robench.evaluation.resolved_victims import TrainedVictim

if TYPE_CHECKING:
    from robench.evaluation.cell import Cell
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved_victims import ResolvedVictim


Part = TypeVar("Part")


def free_first(parts: Sequence[Part], is_busy: Callable[[Part], bool]) -> Iterator[int]:
    """Yield the place of each part once; one that is busy comes when nothing else is left.

    Args:
        parts: in the order that they have without another run.
        is_busy: whether another run works on a part. It is asked again before each part.
    """
    left = list(range(len(parts)))
    while left:
        number = next((each for each in left if not is_busy(parts[each])), left[0])
        left.remove(number)
        yield number


def is_attacked(cell: Cell) -> bool:
    """Return whether another run attacks the examples of a cell at this moment."""
    return is_held(cell.request.own_folder.trials_file(cell.name))


def is_trained(request: EvaluationRequest, victim: ResolvedVictim) -> bool:
    """Return whether another run trains a victim at this moment."""
    if not isinstance(victim, TrainedVictim):
        return False
    from robench.training.saving import training_lock_file

    return is_held(training_lock_file(victim.folder(request)))
