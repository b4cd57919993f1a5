"""``robench evaluate``: train what is missing, attack, print the table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from robench.commands.choices import (
    attack_option,
    defense_option,
    dry_run_option,
    evaluation_options,
    seed_option,
    task_option,
    training_options,
)
from robench.commands.running import carry_out, carry_through, name_damaged, refuse_errors
from robench.commands.shell import Session, global_flags, session_of, terminal_width

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.results.record import Record


@click.command("evaluate", short_help="Train what is missing, attack, print the table.")
@defense_option
@attack_option
@task_option
@seed_option("training and search")
@training_options
@evaluation_options
@dry_run_option
@global_flags
@click.pass_context
def command(ctx: click.Context, /, dry_run: bool, **values: Any) -> None:
    """Put every named defense under every named attack, on the same examples.

    Victims that are there with the same configuration are reused, finished trials are never done again: after an interruption run the same
    command once more.

    \b
    robench evaluate --defense rift --attack genetic
    robench evaluate --defense all --attack genetic --attack pwws --seed 0 --seed 1 --seed 2
    """
    carry_out(session_of(ctx), values, dry_run, run)


def run(request: EvaluationRequest, session: Session) -> None:
    """Evaluate and print what came out and where it lies, also where a part of it failed."""
    from robench.evaluation.run import evaluate
    from robench.results.leaderboard import results_table
    from robench.results.run_folder import RunFolder

    def tell(records: Sequence[Record]) -> None:
        if records:
            click.echo(f"\n{results_table(records, terminal_width())}\n")
            click.echo(f"Markdown: {RunFolder(request.out).leaderboard}")
            click.echo(f"Records:  {RunFolder(request.out).records}")
        name_damaged(request.out)

    refuse_errors(carry_through(session, partial(evaluate, request), tell), request.out)
