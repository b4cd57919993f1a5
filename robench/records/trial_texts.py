"""The trials of a record joined with their texts: what people see, compare and export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from robench._base.errors import RobenchError
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.stored_trials import MissingTrials, find_trials
from robench.records.test_set import TestSet, read_test_set
from robench.records.trial_check import TrialRules, check_trial
from robench.records.trials_agree import fit
from robench.search.attack import Change, Trial, Verdict
from robench.tasks.balanced import balanced_prefix
from robench.text.punkt import check_punkt
from robench.text.words import exchange_words, split_words


@dataclass(frozen=True)
class Origin:
    """The cell that a trial belongs to; the attributes are those of ``TrialText``."""

    task: str
    row: str
    attack: str
    seed: int


@dataclass(frozen=True)
class TrialText:
    """One trial with its texts and the names of its labels.

    Attributes:
        id: of the example.
        task: name of the task, with the test set where it is not the task's own.
        row: label of the victim's row in tables (``Record.row``): the defense or a given victim.
        attack: label of the attack.
        seed: seed of training and search.
        labels: names of the classes, in order.
        label: name of the true label.
        prediction: name of the victim's class on the original text; None if the victim failed.
        adversarial_prediction: name of its class on the text that was claimed to fool it; None
            if there was none.
        verdict: the verdict.
        fields: the original text, field by field.
        attackable: the field that was attacked.
        adversarial_text: that field as it fooled the victim; None unless the verdict is FOOLED.
        rejected_text: that field as the attack claimed it, where the core rejected the claim.
        changes: the changed words of that text; empty for an attack outside the surface.
        words_changed: number of changed words; None without such a text. An attack outside the
            surface may also insert and remove words, and these count too.
        asked, asked_at_success, forwarded, seconds, problem, probs, adversarial_probs: see
            ``Trial``.
    """

    id: str
    task: str
    row: str
    attack: str
    seed: int
    labels: tuple[str, ...]
    label: str
    prediction: str | None
    adversarial_prediction: str | None
    verdict: Verdict
    fields: Mapping[str, str]
    attackable: str
    adversarial_text: str | None
    rejected_text: str | None
    changes: tuple[Change, ...]
    words_changed: int | None
    asked: int
    asked_at_success: int | None
    forwarded: int
    seconds: float
    problem: str | None
    probs: tuple[float, ...] | None
    adversarial_probs: tuple[float, ...] | None

    @property
    def original_text(self) -> str:
        """The attackable field of the original text."""
        return self.fields[self.attackable]

    @property
    def confidence(self) -> float | None:
        """Probability of the predicted label on the original text."""
        return max(self.probs) if self.probs else None

    @property
    def adversarial_confidence(self) -> float | None:
        """Probability of the predicted label on the changed text."""
        return max(self.adversarial_probs) if self.adversarial_probs else None


def join_trials(folder: RunFolder, record: Record) -> list[TrialText]:
    """Return the trials of a record with their texts, in the order of its outcomes.

    Raises:
        RobenchError: the trials or the texts are missing or damaged, or do not fit the record.
            The message says how to get them.
    """
    check_punkt(record.surface.splitter, f"The record {record.file_name}")
    path = folder.trials_file(record.cell_name)
    examples = folder.examples_file(record.task.file_part, record.task.digest)
    test_set = read_test_set(examples, record.task.digest)
    try:
        stored = find_trials(record, [folder])
    except MissingTrials as error:
        raise RobenchError(
            f"The trials are missing: there is no {path}. "
            "Run the same 'robench evaluate' again, which makes them."
        ) from error
    ids = ids_of_judged(test_set, record)
    if lost := stored.lost(ids):
        raise RobenchError(
            f"The trials in {path} are not complete: {lost}. Run the same 'robench evaluate' "
            "again, which makes them."
        )
    trials = [stored.trials[id_] for id_ in ids]
    if not fit(trials, record):
        raise RobenchError(
            f"The trials in {path} do not fit the record {record.file_name}, so its numbers are "
            "claims. Run the same 'robench evaluate' again, which makes it from the trials."
        )
    origin = Origin(record.task.file_part, record.row, record.attack.label, record.search.seed)
    joined = [join(trial, test_set, origin, str(path)) for trial in trials]
    for problem in impossible_trials(trials, test_set, record):
        raise RobenchError(
            f"In {path}, {problem}. Restore the file, or run the same 'robench evaluate' again, "
            "which attacks the example again."
        )
    return joined


def impossible_trials(trials: Iterable[Trial], test_set: TestSet, record: Record) -> Iterator[str]:
    """Yield a part of a sentence for each trial that cannot be true (``check_trial``).

    Args:
        trials: trials of the record, whose examples are in the test set.
        test_set: the texts that were judged.
        record: the record.
    """
    outside, budget = record.surface.outside, record.search.budget
    rules = TrialRules(test_set.labels, test_set.attackable, outside, budget)
    for trial in trials:
        problem = check_trial(trial, test_set.by_id[trial.id], rules)
        if problem is not None:
            yield f"the trial of {trial.id} cannot be true: {problem}"


def ids_of_judged(test_set: TestSet, record: Record) -> list[str]:
    """Return the ids of the examples that a record judges, in the order of its outcomes."""
    judged = test_set.examples
    if record.limit is not None:
        judged = balanced_prefix(judged, record.limit)
    return [example.id for example in judged]


def join(trial: Trial, test_set: TestSet, origin: Origin, path: str) -> TrialText:
    """Return one trial with its texts.

    Args:
        trial: a trial of the record.
        test_set: the texts that were judged.
        origin: the victim and the attack.
        path: where the trials come from, for messages.

    Raises:
        RobenchError: the trial does not fit its text.
    """
    example = test_set.by_id[trial.id]
    original = example.fields[test_set.attackable]
    try:
        text = changed_text(trial, original)
        names = [
            None if number is None else test_set.labels[number]
            for number in (trial.prediction, trial.adversarial_prediction)
        ]
    except (ValueError, IndexError) as error:
        raise RobenchError(
            f"The trial of {trial.id} in {path} does not fit its text. The file is damaged, or "
            "another version of NLTK split the words. Delete it and run the same command again."
        ) from error
    fooled = trial.verdict == Verdict.FOOLED
    return TrialText(
        id=trial.id,
        task=origin.task,
        row=origin.row,
        attack=origin.attack,
        seed=origin.seed,
        labels=test_set.labels,
        label=test_set.labels[example.label],
        prediction=names[0],
        adversarial_prediction=names[1],
        verdict=trial.verdict,
        fields=example.fields,
        attackable=test_set.attackable,
        adversarial_text=text if fooled else None,
        rejected_text=None if fooled else text,
        changes=trial.changes,
        words_changed=None if text is None else count_changes(trial, original),
        asked=trial.asked,
        asked_at_success=trial.asked_at_success,
        forwarded=trial.forwarded,
        seconds=trial.seconds,
        problem=trial.problem,
        probs=trial.probs,
        adversarial_probs=trial.adversarial_probs,
    )


def changed_text(trial: Trial, original: str) -> str | None:
    """Return the attackable field as the verdict read it; None if the attack returned no text.

    Args:
        trial: the trial.
        original: the attackable field of the example.

    Raises:
        ValueError: a changed word is not in the original text at its position.
    """
    if trial.text is not None:
        return trial.text
    if not trial.changes:
        return None
    words = split_words(original)
    for change in trial.changes:
        if not (0 <= change.position < len(words) and words[change.position] == change.original):
            raise ValueError(f"word {change.position} is not {change.original!r}")
    replacements = {change.position: change.substitute for change in trial.changes}
    return exchange_words(original, words, replacements)


def count_changes(trial: Trial, original: str) -> int:
    """Return how many words of the attackable field were changed, inserted or removed."""
    if trial.text is None:
        return len(trial.changes)
    return sum(
        max(end - start, new_end - new_start)
        for kind, start, end, new_start, new_end in word_differences(
            split_words(original), split_words(trial.text)
        )
        if kind != "equal"
    )


def word_differences(
    old: Sequence[str], new: Sequence[str]
) -> list[tuple[str, int, int, int, int]]:
    """Return the differences of two texts, as ``difflib.SequenceMatcher.get_opcodes`` does."""
    matcher = SequenceMatcher(None, list(old), list(new), autojunk=False)
    return [(kind, a, b, c, d) for kind, a, b, c, d in matcher.get_opcodes()]
