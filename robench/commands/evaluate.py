"""``robench evaluate``: train what is missing, attack, print the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from robench.commands.choices import DEFAULT_TASK, apply, evaluation_options, training_options
from robench.commands.running import make_request, prepare, print_plan, reporter
from robench.commands.shell import Session, global_flags, session_of, terminal_width

if TYPE_CHECKING:
    from robench.planning import EvaluationRequest

grid_options = apply(
    [
        click.option("--defense", "defenses", multiple=True, required=True, metavar="NAME", help="A defense, or 'all'. Repeatable."),
        click.option("--attack", "attacks", multiple=True, required=True, metavar="NAME", help="An attack, or 'all'. Repeatable."),
        click.option("--task", "tasks", multiple=True, default=(DEFAULT_TASK,), show_default=True, metavar="NAME", help="A task, or 'all'. Repeatable."),
        click.option(
            "--seed",
            "seeds",
            multiple=True,
            type=click.IntRange(min=0),
            metavar="N",
            default=(0,),
            show_default=True,
            help="Of training and search. Repeatable.",
        ),
    ]
)


@click.command("evaluate", short_help="Train what is missing, attack, print the table.")
@grid_options
@training_options
@evaluation_options
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done.")
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
    session = session_of(ctx)
    request = make_request(values)
    prepare(session, request)
    from robench.evaluator import plan

    if dry_run:
        print_plan(plan(request))
        return
    run(request, session)


def run(request: EvaluationRequest, session: Session) -> None:
    """Evaluate and print what came out and where it lies."""
    from robench.evaluator import evaluate
    from robench.results.leaderboard import results_table

    with reporter(session) as listener:
        records = evaluate(request, listener)
    click.echo(f"\n{results_table(records, terminal_width())}\n")
    click.echo(f"Markdown: {request.out / 'leaderboard.md'}")
    click.echo(f"Records:  {request.out / 'records'}")
