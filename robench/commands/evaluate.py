"""``robench evaluate``: train missing victims, attack them and print the table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from robench.commands.choices import (
    attack_option,
    backend_options,
    dry_run_option,
    evaluation_options,
    given_options,
    optional_defense_option,
    seed_option,
    shard_option,
    task_option,
    training_options,
)
from robench.commands.config import ConfiguredCommand
from robench.commands.results_data import evaluation_data, shard_data
from robench.commands.running import (
    fail_on_error_trials,
    run_or_plan,
    run_with_progress,
    warn_of_damaged_records,
)
from robench.commands.saying import say, say_line
from robench.commands.shell import Session, global_flags, session_of, terminal_width

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.records.record import Record
    from robench.records.shard_part import ShardPart


@click.command(
    "evaluate",
    cls=ConfiguredCommand,
    short_help="Train or load victims, attack them, print the table.",
)
@optional_defense_option
@given_options
@attack_option
@task_option
@seed_option("training and search")
@training_options
@evaluation_options
@backend_options
@shard_option
@dry_run_option
@global_flags
@click.pass_context
def command(ctx: click.Context, /, dry_run: bool, measure: bool, **values: Any) -> None:
    """Attack every victim with every named attack, on the same examples.

    A victim is trained with a defense, or it is a model that you have (--victim). Victims that were
    trained with the same configuration are reused, and finished trials are not repeated. After an
    interruption, run the same command again.

    \b
    robench evaluate --defense rift --attack genetic
    robench evaluate --defense all --attack genetic --attack pwws --seed 0 --seed 1 --seed 2
    robench evaluate --victim my-model/ --task imdb --attack pwws
    """
    if ctx.get_parameter_source("tasks") == ParameterSource.DEFAULT:
        values["tasks"] = tasks_of(values["victims"]) or values["tasks"]
    run_or_plan(session_of(ctx), values, dry_run, measure, run)


def tasks_of(victims: Sequence[str]) -> tuple[str, ...]:
    """Return the task of saved victims, if all victims are saved and share it, or nothing.

    The run then needs no --task.
    """
    from robench.evaluation.given_victims import is_saved_victim, saved_card

    if not victims or not all(map(is_saved_victim, victims)):
        return ()
    tasks = {str(saved_card(victim)["task"]) for victim in victims}
    return tuple(tasks) if len(tasks) == 1 else ()


def run(request: EvaluationRequest, session: Session) -> None:
    """Evaluate, and print the table and the folders, even where parts of the run failed."""
    if request.shard is not None:
        run_shard(request, session)
        return
    from robench.evaluation.run import evaluate

    records = run_with_progress(
        session,
        partial(evaluate, request),
        partial(print_results, request.out),
        lambda records: evaluation_data(records, request.out),
    )
    fail_on_error_trials(records, request.out)


def run_shard(request: EvaluationRequest, session: Session) -> None:
    """Attack the examples of one shard, and say how the shards are joined."""
    from robench.evaluation.shards import evaluate_shard

    def print_parts(parts: Sequence[ShardPart]) -> None:
        cells = "1 cell" if len(parts) == 1 else f"{len(parts)} cells"
        say_line(f"Shard {request.shard} of {cells} is finished: {request.own_folder.root}")
        say_line("A shard has no table. When all shards are finished, join them:")
        say_line(f"  robench merge {shlex.quote(str(request.out))}")

    run_with_progress(
        session, partial(evaluate_shard, request), print_parts, partial(shard_data, request)
    )


def print_results(out: Path, records: Sequence[Record]) -> None:
    """Print the table of records, and where the files of their run are.

    Args:
        out: folder of the run.
        records: the records; without any, only damaged ones are named.
    """
    from robench.records.leaderboard import results_table
    from robench.records.run_folder import RunFolder
    from robench.records.transfer_flags import read_transferred
    from robench.records.trial_marks import marks_of

    if records:
        folder = RunFolder(out)
        transferred = read_transferred(folder.transfer)
        marks = marks_of(folder, records)
        say(f"\n{results_table(records, terminal_width(), transferred, marks)}\n")
        say_line(f"Markdown: {folder.leaderboard}")
        say_line(f"Records:  {folder.records}")
        say_line(f"Texts:    robench examples {shlex.quote(str(out))}")
    warn_of_damaged_records(out)
