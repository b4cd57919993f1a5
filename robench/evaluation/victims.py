"""Get the victims of an evaluation: train or load them, and check them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.evaluation.resolved import ResolvedTask
from robench.evaluation.resolved_victims import Obtained, ResolvedVictim
from robench.tasks.balanced import balanced_prefix

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.models.judged import JudgedVictim
    from robench.tasks.example import Example

CHECK_EXAMPLES = 200
"""Number of examples that the health checks use."""


@dataclass(frozen=True)
class ReadyVictim:
    """A victim that is ready to be attacked.

    Attributes:
        resolved: what the request says about it.
        obtained: the victim in memory, and where it came from.
        findings: what the health checks found.
    """

    resolved: ResolvedVictim
    obtained: Obtained
    findings: tuple[str, ...]

    @property
    def victim(self) -> JudgedVictim:
        """The classifier."""
        return self.obtained.victim


def victim_title(resolved: ResolvedVictim, task: ResolvedTask) -> str:
    """Return the name of a victim for people."""
    return f"{resolved.label} on {task.name}, seed {resolved.seed}"


def obtain_and_check(
    request: EvaluationRequest, task: ResolvedTask, resolved: ResolvedVictim, report: Reporter
) -> ReadyVictim:
    """Return the victim, trained or loaded, after the health checks.

    Raises:
        RobenchError: the training failed, or the victim cannot be loaded or judged.
    """
    title = victim_title(resolved, task)
    obtained = resolved.obtain(request, title, report)
    findings = _check(obtained, task, title, report)
    return ReadyVictim(resolved, obtained, findings)


def _check(obtained: Obtained, task: ResolvedTask, title: str, report: Reporter) -> tuple[str, ...]:
    """Run the health checks.

    Returns:
        The findings, as sentences for the record.

    Raises:
        RobenchError: the victim cannot be judged at all.
    """
    from robench.models.health_checks import check_victim

    examples, split = _examples_to_check(obtained, task)
    report.started("checks", title, None)
    findings = check_victim(obtained.victim, examples, split)
    report.finished("" if findings else "no findings")
    for finding in findings:
        report.message(f"Warning: {finding.message}")
    return tuple(f"{finding.name}: {finding.message}" for finding in findings)


def _examples_to_check(obtained: Obtained, task: ResolvedTask) -> tuple[Sequence[Example], str]:
    """Return dev examples, or examples that are judged anyway, and the name of their split.

    Data without training have no dev split. A victim that exists in this process only is a
    function, perhaps with a price for each text.
    """
    dev = task.splits.dev
    examples, split = (task.tests[0].examples, "test")
    if dev and obtained.load is not None:
        examples, split = dev, "dev"
    return balanced_prefix(examples, min(CHECK_EXAMPLES, len(examples))), split
