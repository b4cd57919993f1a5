"""Compare a record with its trials: letters, ids, counts, curves and costs. Nothing is asked.

These checks need no victim and no torch. They find what an accident or a careless edit changed.
Whoever changes the trials in the same way is found by asking the victim again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from robench._base.errors import RobenchError
from robench.records.by_label import count_by_label
from robench.records.certificate import Certificate
from robench.records.curves import CurvesPart, draw_curve, query_points, word_points
from robench.records.record import Record
from robench.records.record_dates import in_future
from robench.records.stored_trials import StoredTrials
from robench.records.trial_texts import count_changes
from robench.records.trials_agree import names_other_ids, names_other_trials, other_letters
from robench.search.attack import Trial, Verdict
from robench.search.example_watch import is_too_long, too_long

ROUNDING = 0.01
"""Seconds by which a sum of rounded times may differ; records and logs have three decimals."""
SCHEMA_OF_PARTS: Final = {
    "disbelieved": 6,
    "curves": 6,
    "unknown": 6,
    "trials": 6,
    "by_label": 7,
}
"""Part of a record -> the first version of the format in which every run writes it."""
SCHEMA_OF_TRIALS: Final = SCHEMA_OF_PARTS["trials"]
"""The first version whose records name their trials, which hold nothing that robench leaves out."""
MOST_MEMORY: Final = 2**40
"""Bytes of memory (1 TiB) that no machine of a run has."""


FIRST: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""No result of robench is older."""


def in_order(record: Record, stored: StoredTrials, ids: Sequence[str] | None) -> list[Trial]:
    """Return one trial for each outcome of ``record``, in the order of its outcomes.

    Args:
        record: the record.
        stored: its trials on the disk.
        ids: ids of the judged examples; None where their texts are missing. The frozen examples
            are sorted by id, so the ids of the trials then tell them.

    Raises:
        RobenchError: trials are missing or damaged, or the record is about other examples.
    """
    trials = stored.trials
    wanted = sorted(trials) if ids is None else ids
    if lost := stored.lost(wanted):
        raise RobenchError(lost)
    if names_other_ids(record, wanted):
        if stored.damage and len(trials) < len(record.outcomes):
            raise RobenchError(
                f"{len(record.outcomes) - len(trials)} of {len(record.outcomes)} trials cannot be "
                f"used: in {stored.path.name}, {stored.damage}"
            )
        raise RobenchError(
            "its 'ids_digest' is not that of the examples "
            f"{'of its trials' if ids is None else 'that its task and limit name'}"
        )
    return [trials[each] for each in wanted]


def differences_from_trials(
    record: Record, trials: Sequence[Trial], texts: Mapping[str, str] | None = None
) -> list[str]:
    """Return how a record differs from its trials, one sentence for each difference.

    Args:
        record: the record.
        trials: its trials, in the order of its outcomes.
        texts: id -> attackable text of the example; None where they are missing.
    """
    found = _letters(record, trials)
    disbelieved = sum(trial.disbelieved for trial in trials)
    if record.disbelieved not in (None, disbelieved):
        found.append(
            f"{record.disbelieved} claims were rejected according to the record, and "
            f"{disbelieved} according to the trials"
        )
    if names_other_trials(record, trials):
        found.append("its trials are other ones than those that the record was made from")
    found += time_limit_problems(record, trials)
    found += _by_label(record, trials)
    return [*found, *_curves(record, trials, texts), *_costs(record, trials)]


def missing_parts(record: Record, schema: int) -> list[str]:
    """Return which parts somebody took out of a record that every run writes (``SCHEMA_OF_PARTS``).

    Args:
        record: the record.
        schema: version of the format in which its file is written.
    """
    return [
        f"'{name}' is missing, and every record of schema {schema} has it"
        for name, first in SCHEMA_OF_PARTS.items()
        if schema >= first and getattr(record, name) is None
    ]


def parts_that_may_lack(schema: int) -> frozenset[str]:
    """Return the parts of a record that a run with an earlier format may not have written.

    Args:
        schema: version of the format in which the record's file is written.
    """
    if schema < SCHEMA_OF_TRIALS:
        # The version at which each of the other parts came is not known any more.
        return frozenset(Record.model_fields)
    return frozenset(name for name, first in SCHEMA_OF_PARTS.items() if schema < first)


def time_limit_problems(record: Record, trials: Sequence[Trial]) -> list[str]:
    """Return how the time limit of a record differs from that of the searches that it ended.

    Where it ended no search, nothing shows which limit the run had.
    """
    limit = record.search.example_seconds
    said = None if limit is None else too_long(limit)
    ended = [trial for trial in trials if is_too_long(trial) and trial.problem != said]
    if not ended:
        return []
    claimed = "no time limit" if limit is None else f"a time limit of {limit:g} s"
    first = ended[0]
    return [f"the record names {claimed}, and the trial of {first.id} says: {first.problem}"]


def _letters(record: Record, trials: Sequence[Trial]) -> list[str]:
    if len(trials) != len(record.outcomes):
        return [f"there are {len(trials)} trials and {len(record.outcomes)} letters"]
    wrong = other_letters(record, trials)
    if not wrong:
        return []
    example, claimed, letter = wrong[0]
    said = f"the letter of {example} is {claimed}, and its trial says {letter}"
    many = f"{len(wrong)} letters are not those of the trials; " if len(wrong) > 1 else ""
    return [many + said]


def _by_label(record: Record, trials: Sequence[Trial]) -> list[str]:
    """Return for which labels the counts are not those of the trials."""
    if record.by_label is None:
        return []
    names = [each.label for each in record.by_label]
    if any(trial.label >= len(names) for trial in trials):
        return ["the trials have more labels than its counts by label"]
    try:
        real = count_by_label(names, trials)
    except ValueError:
        return ["labels, answers and verdicts of its trials contradict each other"]
    wrong = [each.label for each, now in zip(record.by_label, real, strict=True) if each != now]
    return [f"the counts of the label '{name}' are not those of the trials" for name in wrong]


def _curves(record: Record, trials: Sequence[Trial], texts: Mapping[str, str] | None) -> list[str]:
    """Return which curve is not the one of the trials."""
    fooled = [trial for trial in trials if trial.verdict == Verdict.FOOLED]
    # The changed words of a text outside the surface can only be counted beside the original.
    if record.curves is None or (texts is None and any(t.text is not None for t in fooled)):
        return []
    words = [count_changes(trial, (texts or {}).get(trial.id, "")) for trial in fooled]
    queries = [t.asked_at_success for t in fooled if t.asked_at_success is not None]
    drawn = CurvesPart(
        queries=draw_curve(queries, query_points()) if len(queries) == len(fooled) else None,
        words=draw_curve(words, word_points()),
    )
    return [
        f"the curve over {name} is not that of the trials"
        for name, claimed, real in (
            ("queries", record.curves.queries, drawn.queries),
            ("words", record.curves.words, drawn.words),
        )
        if claimed not in (None, real)
    ]


def _costs(record: Record, trials: Sequence[Trial]) -> list[str]:
    """Return which cost does not follow from the trials, or is impossible."""
    cost, found = record.cost, []
    asked = sum(trial.asked for trial in trials)
    if cost.asked != asked:
        found.append(f"{cost.asked} queries, and the trials add up to {asked}")
    forwarded = sum(trial.forwarded for trial in trials) * _draws(record)
    if cost.forwarded != forwarded:
        found.append(f"{cost.forwarded} forwarded rows, and the trials add up to {forwarded}")
    seconds = sum(trial.seconds for trial in trials)
    if cost.attack_seconds is not None and abs(cost.attack_seconds - seconds) > ROUNDING:
        found.append(
            f"{cost.attack_seconds:g} seconds of attack, and the trials add up to {seconds:.3f}"
        )
    if forwarded and not seconds:
        found.append(f"{forwarded} rows were computed in 0 seconds, which is impossible")
    idle = sum(not t.seconds for t in trials if t.forwarded)
    if seconds and idle:
        found.append(f"{idle} of the trials computed rows in 0 seconds, which is impossible")
    return found


def _draws(record: Record) -> int:
    """Return how many rows a randomised victim computes for one query."""
    draws = (record.victim.smoothing or {}).get("draws", 1)
    return draws if isinstance(draws, int) else 1


def impossible_dates(subject: Record | Certificate, now: datetime | None = None) -> list[str]:
    """Return a sentence where a record or certificate is from the future, or older than robench."""
    if subject.created < FIRST:
        return [f"'created' is {subject.created:%Y-%m-%d}, when there was no robench"]
    if not in_future(subject, now):
        return []
    return [f"'created' is {subject.created:%Y-%m-%d %H:%M} UTC, which is in the future"]


def impossible_costs(record: Record, weights: int | None, training: float | None) -> list[str]:
    """Return which measured costs cannot be true for the victim in its folder.

    Args:
        record: the record.
        weights: size of the victim's weights in bytes, or None where it is unknown.
        training: seconds of training by the victim's log, or None where it has none.
    """
    cost, found = record.cost, []
    if cost.training_seconds is not None and record.victim.kind == "trained":
        if cost.training_seconds <= 0:
            found.append("a training in 0 seconds is impossible")
        elif training is not None and abs(training - cost.training_seconds) > ROUNDING:
            found.append(
                f"{cost.training_seconds:g} seconds of training, and the victim's log adds up to "
                f"{training:g}"
            )
    peak = cost.peak_memory_bytes
    if peak is not None and weights is not None and peak < weights:
        found.append(f"a peak of {peak} bytes is less than the victim's weights ({weights} bytes)")
    if peak is not None and peak > MOST_MEMORY:
        found.append(f"a peak of {peak} bytes is more memory than a machine has")
    return found


def name_problems(path: Path, wanted: str) -> list[str]:
    """Return a sentence where a file has another name than its content gives it."""
    if path.name == wanted:
        return []
    return [f"the file is called {path.name}, and its content belongs to {wanted}"]
