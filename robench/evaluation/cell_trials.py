"""Attack the examples of a cell that have no trial yet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from robench._base.environment import reset_peak_memory
from robench._base.errors import RobenchError
from robench.evaluation.cost_parts import TextSize, attack_work, note_attack
from robench.evaluation.known_trials import sort_known
from robench.evaluation.searching import search_examples
from robench.records.record import LETTERS
from robench.records.run_folder import RunFolder
from robench.records.trial_check import TrialRules
from robench.search.attack import Trial
from robench.search.trials import TrialFile

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.cell import Cell
    from robench.evaluation.cost_log import Work
    from robench.tasks.example import Example
    from robench.text.space import SearchSpace


def complete_trials(cell: Cell, report: Reporter) -> tuple[list[Trial], bool]:
    """Attack the examples that have no trial in the cell's file.

    Returns:
        The trials of all examples in the order of the examples, and whether any of them is new.

    Raises:
        RobenchError: the disk is full, or trials are missing afterwards.
    """
    request = cell.request
    path = request.own_folder.trials_file(cell.name)
    file = TrialFile(path, request.patience(report), cell=cell.key)
    examples = cell.examples
    # The file is locked first, so that no other run adds trials after it was read.
    with file:
        sort = partial(sort_known, rules=rules_of(cell), space_of=partial(space_of, cell))
        known = sort(file.read(), examples, cell.test.whole)
        missing = [example for example in examples if example.id not in known.done]
        for sentence in known.sentences(file, attacking=bool(missing)):
            report.message(sentence)
        for example_id, reason in known.impossible.items():
            file.revoke(example_id, reason)
        if not missing:
            return [known.done[example.id] for example in examples], False
        of_shards = sort(trials_elsewhere(cell, report), missing, cell.test.whole)
        for trial in of_shards.done.values():
            file.append(trial)
        all_done = {**known.done, **of_shards.done}
        done = [all_done[example.id] for example in examples if example.id in all_done]
        todo = [example for example in missing if example.id not in of_shards.done]
        if not todo:
            return done, True
        _attack_unchanged(cell, file, todo, done, report)
        trials = {trial.id: trial for trial in file.read()}
    lost = [example.id for example in examples if example.id not in trials]
    if lost:
        raise RobenchError(
            f"{len(lost)} trials are missing in {file.path}, the first for {lost[0]}. Run "
            "the same command again."
        )
    return [trials[example.id] for example in examples], True


def trials_elsewhere(cell: Cell, report: Reporter) -> list[Trial]:
    """Return the trials of the cell that other shards, or a run without shards, left in ``out``.

    They may be about any example. A file that cannot be read is named and passed over.
    """
    whole, own = RunFolder(cell.request.out), cell.request.own_folder
    folders = [whole, *(RunFolder(path) for path in sorted(whole.shards.glob("*-of-*")))]
    found: list[Trial] = []
    for folder in folders:
        if folder == own:
            continue
        try:
            found += TrialFile(folder.trials_file(cell.name), cell=cell.key).read()
        except RobenchError as error:
            report.message(f"Trials that another run left are not used: {error}")
    return found


def rules_of(cell: Cell) -> TrialRules:
    """Return what holds for all trials of a cell."""
    victim = cell.victim.victim
    return TrialRules(
        victim.labels, victim.attackable, cell.attack.attack.outside, cell.request.budget
    )


def space_of(cell: Cell, example: Example) -> SearchSpace:
    """Return what the attack of a cell could choose for an example."""
    from robench.search.jobs import make_jobs

    (job,) = make_jobs(
        [example],
        cell.surface,
        cell.victim.victim,
        constrained=cell.attack.constrained,
        threshold=cell.protocol.lm_threshold,
        without=cell.removed,
    )
    return job.space


def _attack_unchanged(
    cell: Cell,
    file: TrialFile,
    todo: Sequence[Example],
    done: Sequence[Trial],
    report: Reporter,
) -> None:
    """Attack the examples ``todo``, and put the trials aside if that changed the victim.

    They are put aside as well if the attack keeps state.

    Raises:
        VictimChanged: it did. Trials of earlier runs are put aside too: one that was killed did
            not compare the victim any more.
    """
    from robench.models.watched_attributes import watch
    from robench.search.repeats import KeepsState
    from robench.search.unchanged import UnchangedVictim, VictimChanged

    if not cell.attack.built_in:
        watch(cell.victim.victim)
    unchanged = UnchangedVictim(cell.victim.victim)
    try:
        try:
            _attack(cell, file, todo, done, report)
        except KeepsState:
            # A changed victim gives other trials too, and that is then the better reason.
            unchanged.check(cell.attack.label)
            raise
        unchanged.check(cell.attack.label)
    except VictimChanged as error:
        aside = file.path.with_name(f"{file.path.name}.aside")
        file.path.replace(aside)
        raise VictimChanged(f"{error} They are put aside in '{aside}'.") from error


def _attack(
    cell: Cell,
    file: TrialFile,
    todo: Sequence[Example],
    done: Sequence[Trial],
    report: Reporter,
) -> None:
    """Attack the examples ``todo`` and append their trials to ``file``."""
    total = len(done) + len(todo)
    report.started("attack", cell.title, total)
    if done:
        report.message(
            f"{len(done)} of {total} trials exist from an earlier run. The other {len(todo)} "
            "examples are attacked now."
        )
    letters = [LETTERS[trial.verdict] for trial in done]
    reset_peak_memory(cell.resolved.device)
    new, started = list[Trial](), monotonic()
    for trial in search_examples(cell, todo, report):
        file.append(trial)
        new.append(trial)
        letters.append(LETTERS[trial.verdict])
        report.advanced(len(letters), total, progress_note(letters))
    seconds = monotonic() - started
    note_attack(_work_of(cell, len(new)), new, seconds, cell.request.budget)
    report.finished(progress_note(letters))


def _work_of(cell: Cell, examples: int) -> Work:
    """Return the attack of a cell on a number of examples, for the log of times."""
    size = TextSize.of_surface(cell.surface, cell.test.max_words)
    return attack_work(cell.request, cell.resolved, cell.test, cell.attack, examples, size)


def progress_note(letters: Sequence[str]) -> str:
    """Return the accuracy under attack of the trials so far, as text; none while one has an error.

    Tables print no number for such a cell either.
    """
    errors = letters.count("E")
    if errors:
        return f"accuracy under attack: error ({errors} of {len(letters)} examples)"
    robust = sum(letter in "HP" for letter in letters)
    return f"accuracy under attack {100 * robust / len(letters):.1f} %"
