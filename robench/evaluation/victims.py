"""A victim that is ready to be attacked, and its name for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from robench.evaluation.resolved import ResolvedTask
from robench.evaluation.resolved_victims import Obtained, ResolvedVictim

if TYPE_CHECKING:
    from robench.models.judged import JudgedVictim


@dataclass(frozen=True)
class ReadyVictim:
    """A victim that is ready to be attacked.

    Attributes:
        resolved: what the request says about it.
        obtained: the victim in memory, and where it came from.
        findings: what the health checks found.
        calibration: digest of the dev examples that its temperature is fitted on; None where the
            protocol asks for no temperature.
        temperature: what the logits of its searches are divided by; None without ``calibration``.
    """

    resolved: ResolvedVictim
    obtained: Obtained
    findings: tuple[str, ...]
    calibration: str | None = None
    temperature: float | None = None

    @property
    def victim(self) -> JudgedVictim:
        """The classifier."""
        return self.obtained.victim


def reloaded(ready: ReadyVictim) -> ReadyVictim:
    """Return the victim as it is stored, in place of one that a plugin changed in memory.

    A victim that exists in this process only is returned as it is.

    Raises:
        RobenchError: it cannot be loaded.
    """
    obtained = ready.obtained
    if obtained.load is None:
        return ready
    fresh = cast("JudgedVictim", obtained.load(obtained.source, ready.resolved.device))
    return replace(ready, obtained=replace(obtained, victim=fresh))


def victim_title(resolved: ResolvedVictim, task: ResolvedTask) -> str:
    """Return the name of a victim for people."""
    return f"{resolved.label} on {task.name}, seed {resolved.seed}"
