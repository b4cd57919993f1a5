"""What ``train``, ``evaluate`` and ``sweep`` share: making the request and running it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from robench._base.errors import Incomplete, RobenchError, UsageError
from robench._base.quiet import quiet_environment
from robench.commands.option_pairs import parse_label_map, parse_options
from robench.commands.results_data import failed_parts
from robench.commands.saying import tell
from robench.commands.shell import Session, emit, stderr

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.records.record import Record
    from robench.records.run_folder import RunFolder

Results = TypeVar("Results", bound=Sequence[Any])


def run_or_plan(
    session: Session,
    values: dict[str, Any],
    dry_run: bool,
    measure: bool,
    work: Callable[[EvaluationRequest, Session], None],
) -> None:
    """Make the request and run it, or print the plan of a dry run.

    Args:
        session: the session of the command.
        values: the values of click's options.
        dry_run: whether to print only the plan.
        measure: whether the plan measures what it does not know.
        work: what runs the request.

    Raises:
        UsageError: see ``check_measure`` and ``make_request``.
    """
    check_measure(dry_run, measure)
    request = make_request(values)
    prepare(session, request)
    if dry_run:
        from robench.commands.plan_text import print_plan
        from robench.evaluation.run import plan_with_costs

        with make_reporter(session) as reporter:
            planned = plan_with_costs(request, reporter, measure=measure)
        print_plan(session, planned)
    else:
        work(request, session)


def check_measure(dry_run: bool, measure: bool) -> None:
    """Raise UsageError where ``--measure`` stands without ``--dry-run``."""
    if measure and not dry_run:
        raise UsageError("--measure is a part of --dry-run. Name both, or leave --measure out.")


def make_request(values: dict[str, Any]) -> EvaluationRequest:
    """Make the frozen request; raises UsageError where a value is not valid."""
    from robench.evaluation.request import build_request

    given = {name: value for name, value in values.items() if value is not None}
    given["options"] = parse_options(given.get("options", ()))
    given["label_map"] = parse_label_map(given.get("label_map", ()))
    return build_request(**given)


def prepare(session: Session, request: EvaluationRequest) -> None:
    """Prepare a run, before the first heavy import.

    This refuses unknown names, keeps other libraries from printing between the progress bars, and
    sets the message for Ctrl-C.
    """
    from robench.evaluation.resolve import check_names

    quiet_environment()
    check_names(request)
    session.kept = (
        f"What was finished under {request.out} is kept; "
        "run the same command again to continue from there."
    )


@contextmanager
def make_reporter(session: Session) -> Iterator[Reporter]:
    """Yield a reporter: bars on a terminal, lines in a log, nothing with ``--quiet``."""
    from robench._base.progress_lines import ProgressLines
    from robench._base.reporting import Silent
    from robench.commands.progress import TerminalReporter
    from robench.training.runtime import is_main_process

    if session.quiet or not is_main_process():
        yield Silent()
    elif stderr().is_terminal:
        with TerminalReporter() as bars:
            yield bars
    else:
        yield ProgressLines(partial(stderr().print, soft_wrap=True))


def run_with_progress(
    session: Session,
    work: Callable[[Reporter], Results],
    print_results: Callable[[Results], None],
    as_data: Callable[[Results], dict[str, Any]],
) -> Results:
    """Run ``work`` while its progress is shown, and print its results.

    Where parts of the work fail, the results of the other parts are still printed.

    Args:
        session: the session of the command.
        work: does the work and returns the results.
        print_results: prints them for people.
        as_data: returns them as data, for ``--json``.

    Raises:
        Incomplete: parts of the work failed; it is raised after printing.
    """
    failure = None
    try:
        with make_reporter(session) as reporter:
            results = work(reporter)
    except Incomplete as error:
        results, failure = cast(Results, error.done), error
    try:
        if session.json:
            emit({**as_data(results), "failed": failed_parts(failure)})
        else:
            print_results(results)
    finally:
        # The failure matters more than an error while printing.
        if failure is not None:
            raise failure
    return results


def warn_of_damaged_records(out: Path) -> None:
    """Name on stderr the records in ``out`` that cannot be read, also with ``--quiet``.

    The table of the folder is made without them.
    """
    from robench.records.record_files import find_records
    from robench.records.run_folder import RunFolder

    folder = RunFolder(out)
    for sentence in find_records(folder.records).damaged.values():
        tell(f"Left out of {folder.leaderboard}: {sentence}")


def fail_on_error_trials(records: Sequence[Record], out: Path) -> None:
    """Fail where examples ended in an error, so that a script does not take the run for complete.

    Raises:
        RobenchError: at least one record has error trials.
    """
    from robench.records.run_folder import RunFolder

    broken = [record for record in records if record.counts.error]
    if not broken:
        return
    first = broken[0]
    count = sum(record.counts.error for record in broken)
    path = RunFolder(out).trials_file(first.cell_name)
    said = _most_frequent_problem(RunFolder(out), broken)
    where = f"The 'problem' in {path} says why" if said is None else f"The usual reason is: {said}"
    raise RobenchError(
        f"Examples that ended in an error: {count}, in {len(broken)} of {len(records)} cells, "
        f"which have no number. {where}; the same command tries them again."
    )


def _most_frequent_problem(folder: RunFolder, records: Sequence[Record]) -> str | None:
    """Return the problem that most error trials of the records name; None if none can be read."""
    from robench._base.escaping import one_line
    from robench.records.stored_trials import read_trials

    problems: Counter[str] = Counter()
    for record in records:
        try:
            stored = read_trials(folder.trials_file(record.cell_name), record)
        except RobenchError:
            continue
        problems.update(
            trial.problem
            for trial in stored.trials.values()
            if trial.verdict == "error" and trial.problem
        )
    if not problems:
        return None
    (problem, number), *_ = problems.most_common(1)
    return f"{one_line(problem).rstrip('.')} ({number} of {problems.total()})"
