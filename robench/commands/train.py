"""``robench train``: fine-tune victims without attacking them."""

from __future__ import annotations

from typing import Any

import click

from robench.commands.choices import DEFAULT_TASK, apply, training_options
from robench.commands.running import make_request, prepare, print_plan, reporter
from robench.commands.shell import global_flags, session_of

victim_options = apply(
    [
        click.option("--defense", "defenses", multiple=True, required=True, metavar="NAME", help="A defense, or 'all'. Repeatable."),
        click.option("--task", "tasks", multiple=True, default=(DEFAULT_TASK,), show_default=True, metavar="NAME", help="A task, or 'all'. Repeatable."),
        click.option(
            "--seed", "seeds", multiple=True, type=click.IntRange(min=0), metavar="N", default=(0,), show_default=True, help="Of training. Repeatable."
        ),
    ]
)


@click.command("train", short_help="Fine-tune victims without attacking them.")
@victim_options
@training_options
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done.")
@global_flags
@click.pass_context
def command(ctx: click.Context, /, dry_run: bool, **values: Any) -> None:
    """Fine-tune with every named defense and keep the victims, for 'robench evaluate' to reuse.

    \b
    robench train --defense standard --defense rift
    """
    session = session_of(ctx)
    request = make_request(values)
    prepare(session, request)
    from robench.evaluator import plan, train_only

    if dry_run:
        print_plan(plan(request))
        return
    with reporter(session) as listener:
        folders = train_only(request, listener)
    for folder in folders:
        click.echo(str(folder))
