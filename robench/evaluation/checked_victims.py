"""Get the victims of an evaluation: train or load them, and check them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError
from robench.evaluation.cell import Cell
from robench.evaluation.cost_parts import note_training
from robench.evaluation.resolved import ResolvedTask
from robench.evaluation.resolved_victims import Obtained, ResolvedVictim
from robench.evaluation.temperature import (
    calibration_digest,
    calibration_examples,
    temperature_of,
)
from robench.evaluation.victims import ReadyVictim, victim_title
from robench.records.record_files import read_record
from robench.records.run_folder import RunFolder, record_file_name
from robench.search.trials import TrialFile
from robench.tasks.balanced import balanced_prefix

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.tasks.example import Example


class HealthChecks:
    """Obtain the victims of one run, and check each of them.

    A call of a function may cost money. So a function is checked once for all its seeds, and not
    at all where an earlier run left nothing to ask.

    Args:
        request: the evaluation.
        report: receives the progress.
        untrained: title of a victim that could not be trained -> why.
    """

    def __init__(
        self,
        request: EvaluationRequest,
        report: Reporter,
        untrained: Mapping[str, str] | None = None,
    ) -> None:
        self._request, self._report = request, report
        self._untrained = untrained or {}
        self._of_functions: dict[int, tuple[str, ...] | str] = {}
        self._temperatures: dict[int, float] = {}

    def obtain(
        self,
        task: ResolvedTask,
        resolved: ResolvedVictim,
        cells_of: Callable[[ReadyVictim], Sequence[Cell]] = lambda _: (),
    ) -> ReadyVictim:
        """Return the victim, trained or loaded, after the health checks, with its temperature.

        Args:
            task: the task.
            resolved: what the request says about the victim.
            cells_of: makes the cells of a victim that is attacked.

        Raises:
            RobenchError: the training failed, or the victim cannot be loaded or judged.
        """
        title = victim_title(resolved, task)
        if title in self._untrained:
            raise RobenchError(self._untrained[title])
        trains = resolved.state(self._request) == "train"
        obtained = resolved.obtain(self._request, title, self._report)
        if trains:
            note_training(resolved, obtained.training_seconds)
        calibration = calibration_digest(self._request, task)
        ready = ReadyVictim(resolved, obtained, (), calibration)
        # Other processes can load every victim but a function.
        if obtained.load is not None:
            findings = _check(obtained, task, title, self._report)
            temperature = self._temperature(obtained, task)
            return replace(ready, findings=findings, temperature=temperature)
        known = _known(cells_of(ready))
        if known is None:
            findings = self._check_once(obtained, task, title)
            known = (findings, self._temperature(obtained, task))
        return replace(ready, findings=known[0], temperature=known[1])

    def _temperature(self, obtained: Obtained, task: ResolvedTask) -> float | None:
        """Fit the victim's temperature and say it; None where the protocol asks for none."""
        examples = calibration_examples(self._request, task)
        if not examples:
            return None
        number = id(obtained.victim)
        # A function that has several seeds is asked once.
        known = self._temperatures.get(number) if obtained.load is None else None
        found = temperature_of(obtained.victim, examples) if known is None else known
        if obtained.load is None:
            self._temperatures[number] = found
        self._report.message(
            f"Temperature {found:.4g}, fitted on {len(examples)} dev examples: the searches see "
            "the logits divided by it."
        )
        return found

    def _check_once(self, obtained: Obtained, task: ResolvedTask, title: str) -> tuple[str, ...]:
        """Check a function, or say again what its check said in this run."""
        # The functions live as long as the run, so no two have the same number.
        number = id(obtained.victim)
        if number not in self._of_functions:
            try:
                self._of_functions[number] = _check(obtained, task, title, self._report)
            except RobenchError as error:
                self._of_functions[number] = str(error)
                raise
        found = self._of_functions[number]
        if isinstance(found, str):
            raise RobenchError(found)
        return found


def _known(cells: Sequence[Cell]) -> tuple[tuple[str, ...], float | None] | None:
    """Return findings and temperature of an earlier run that left nothing to ask, else None."""
    found: set[tuple[tuple[str, ...], float | None]] = set()
    for cell in cells:
        folder = RunFolder(cell.request.out)
        path = cell.request.own_folder.trials_file(cell.name)
        done = TrialFile(path, cell=cell.key).ids_done(errors=False)
        if not done.issuperset(example.id for example in cell.test.examples):
            return None
        try:
            record = read_record(folder.records / record_file_name(cell.name, cell.test.limit))
        except RobenchError:
            return None
        if record.cell != cell.key:
            return None
        found.add((record.victim.findings, record.victim.temperature))
    return found.pop() if len(found) == 1 else None


def _check(obtained: Obtained, task: ResolvedTask, title: str, report: Reporter) -> tuple[str, ...]:
    """Run the health checks.

    Returns:
        The findings, as sentences for the record.

    Raises:
        RobenchError: the victim cannot be judged at all.
    """
    from robench.evaluation.company import company_findings
    from robench.models.gradient_findings import gradient_findings
    from robench.models.health_checks import check_victim
    from robench.models.training_findings import training_findings

    examples, split = _examples_to_check(obtained, task)
    report.started("checks", title, None)
    findings = check_victim(obtained.victim, examples, split)
    findings += company_findings(obtained.victim, examples, split)
    findings += gradient_findings(obtained.victim, examples, split)
    findings += training_findings(obtained.card)
    report.finished("" if findings else "no findings")
    for finding in findings:
        report.message(f"Warning: {finding.message}")
    return tuple(f"{finding.name}: {finding.message}" for finding in findings)


def _examples_to_check(obtained: Obtained, task: ResolvedTask) -> tuple[Sequence[Example], str]:
    """Return dev examples, or examples that are judged anyway, and the name of their split.

    Data without training have no dev split. A victim that exists in this process only is a
    function, perhaps with a price for each text.
    """
    from robench.models.health_checks import examples_to_check

    dev = task.splits.dev
    examples, split = (task.tests[0].examples, "test")
    if dev and obtained.load is not None:
        examples, split = dev, "dev"
    wanted = examples_to_check(len(obtained.victim.labels))
    return balanced_prefix(examples, min(wanted, len(examples))), split
