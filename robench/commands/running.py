"""What ``train`` and ``evaluate`` share: from click's values to a request, and who listens to the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from robench._base.errors import Incomplete, RobenchError
from robench._base.quiet import quiet_environment
from robench.commands.choices import parse_options
from robench.commands.shell import Session, show, stderr

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.plan import PlannedCell
    from robench.evaluation.request import EvaluationRequest
    from robench.results.record import Record

Done = TypeVar("Done", bound=Sequence[Any])


def carry_out(
    session: Session,
    values: dict[str, Any],
    dry_run: bool,
    work: Callable[[EvaluationRequest, Session], None],
) -> None:
    """Make the request and have ``work`` do it, or print what that would mean."""
    request = make_request(values)
    prepare(session, request)
    if dry_run:
        from robench.evaluation.run import plan

        print_plan(plan(request))
    else:
        work(request, session)


def make_request(values: dict[str, Any]) -> EvaluationRequest:
    """The frozen request; raises UsageError where a value does not fit."""
    from robench.evaluation.request import build_request

    given = {name: value for name, value in values.items() if value is not None}
    return build_request(**given | {"options": parse_options(given.pop("options", ()))})


def prepare(session: Session, request: EvaluationRequest) -> None:
    """Before the first heavy import: refuse names that are none, keep libraries from talking between the bars, and know what to say on Ctrl-C."""
    from robench.evaluation.resolve import check_names

    quiet_environment()
    check_names(request)
    session.kept = f"What was finished under {request.out} is kept; run the same command again to go on from there."


@contextmanager
def reporter(session: Session) -> Iterator[Reporter]:
    """Bars on a terminal, lines in a log, nothing with ``--quiet``."""
    from robench._base.reporting import Silent
    from robench.commands.progress import LogReporter, TerminalReporter
    from robench.training.runtime import is_main_process

    if session.quiet or not is_main_process():
        yield Silent()
    elif stderr().is_terminal:
        with TerminalReporter() as bars:
            yield bars
    else:
        yield LogReporter()


def carry_through(
    session: Session, work: Callable[[Reporter], Done], tell: Callable[[Done], None]
) -> Done:
    """Have ``work`` done while the session's reporter listens, and ``tell`` what it brought, also where a part of it failed: that is raised afterwards."""
    failure = None
    try:
        with reporter(session) as listener:
            done = work(listener)
    except Incomplete as error:
        done, failure = cast(Done, error.done), error
    try:
        tell(done)
    finally:
        if failure is not None:
            raise failure
    return done


def name_damaged(out: Path) -> None:
    """Name on stderr, also with ``--quiet``, the records in ``out`` that cannot be read: the table of the folder is made without them."""
    from robench.results.record_files import find_records
    from robench.results.run_folder import RunFolder

    folder = RunFolder(out)
    for sentence in find_records(folder.records).damaged.values():
        click.echo(f"Left out of {folder.leaderboard}: {sentence}", err=True)


def refuse_errors(records: Sequence[Record], out: Path) -> None:
    """Raise RobenchError where examples ended in an error: what was asked for is not all there, and a script must not take it for that."""
    from robench.results.run_folder import RunFolder

    broken = [record for record in records if record.counts.error]
    if broken:
        first = broken[0]
        count = sum(record.counts.error for record in broken)
        path = RunFolder(out).trials_file(first.cell_name)
        raise RobenchError(
            f"Examples that ended in an error: {count}, in {len(broken)} of {len(records)} cells, which have no number. The 'problem' in {path} says why; "
            "the same command tries them again."
        )


def print_plan(cells: list[PlannedCell]) -> None:
    """What a dry run prints: one line a cell."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("task", "defense", "seed", "attack", "victim", "surface", "trials to do"):
        table.add_column(
            heading,
            overflow="fold",
            justify="right" if heading in {"seed", "trials to do"} else "left",
        )
    for cell in cells:
        table.add_row(
            cell.task,
            cell.defense,
            str(cell.seed),
            cell.attack or "-",
            cell.victim,
            cell.surface or "after training",
            f"{cell.total - cell.done} of {cell.total}",
        )
    show(table)
