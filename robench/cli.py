"""The command line ``robench``. Each command has its own module in ``robench/commands/``."""

from __future__ import annotations

import click

from robench import __version__
from robench.commands.saying import say
from robench.commands.shell import Commands, global_flags


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
)
@click.version_option(
    __version__, "-V", "--version", prog_name="robench", message="%(prog)s %(version)s"
)
@global_flags
@click.pass_context
def main(ctx: click.Context) -> None:
    """How robust is this way of fine-tuning a text classifier, and how sure are we?

    \b
    robench list                                          list all names
    robench evaluate --defense rift --attack genetic      train, attack, print the table
    """
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


def _add_commands() -> None:
    from robench.commands import (
        attack,
        card,
        certify,
        compare,
        completion,
        doctor,
        evaluate,
        examples,
        fetch,
        leaderboard,
        listing,
        merge,
        new,
        plot,
        push,
        report,
        show,
        site,
        slurm,
        submit,
        sweep,
        train,
        transfer,
        verify,
    )

    runs = (train, evaluate, sweep, attack, certify)
    machines = (merge, slurm)
    results = (examples, compare, transfer, verify, leaderboard, plot, site, report)
    setup = (fetch, doctor, new, completion)
    for module in (listing, show, *runs, *machines, *results, card, push, submit, *setup):
        main.add_command(module.command)


_add_commands()
