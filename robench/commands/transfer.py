"""``robench transfer``: the victims of a run on each other's adversarial texts."""

from __future__ import annotations

from pathlib import Path

import click

from robench._base.errors import UsageError
from robench.commands.running import make_reporter
from robench.commands.saying import say, tell
from robench.commands.shell import emit, global_flags, session_of, terminal_width
from robench.evaluation import defaults


@click.command("transfer", short_help="Every victim of a run on the others' adversarial texts.")
@click.argument("run", type=click.Path(path_type=Path), default=defaults.OUT, metavar="[RUN]")
@click.option(
    "--attack",
    "attacks",
    multiple=True,
    metavar="NAME",
    help="Only the texts of this attack. Repeatable.",
)
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only this task. Repeatable.")
@click.option(
    "--device",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1, mps.",
)
@global_flags
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: Path,
    attacks: tuple[str, ...],
    tasks: tuple[str, ...],
    device: str,
) -> None:
    """Judge every victim of a run on the texts that fooled the other victims.

    RUN is the folder that 'robench evaluate --out' wrote. For each task and attack there is a
    table: a row for each victim, and a column for each victim that the texts were made for. A
    victim that is weaker under the texts of others than under its own attack gets a warning,
    because its own attack may be masked.

    The tables are also stored in RUN/transfer.json, and RUN/leaderboard.md shows each warning as a
    flag. Victims that robench did not train are not asked, but the texts that fooled them are used.

    \b
    robench transfer
    robench transfer runs --attack pwws --json
    """
    if not run.is_dir():
        # Said before torch is imported.
        raise UsageError(
            f"There is no folder '{run}'. Name the folder that 'robench evaluate' wrote with --out."
        )
    from robench.evaluation.transfer import transfer
    from robench.records import transfer_text
    from robench.records.terminal import wrapped

    session = session_of(ctx)
    with make_reporter(session) as report:
        found = transfer(run, attacks=attacks, tasks=tasks, device=device, report=report)
    for problem in found.problems:
        tell(f"Warning: {problem}")
    if session.json:
        emit(found.to_dict())
        return
    width = terminal_width()
    say("\n".join(transfer_text.terminal(table, width) for table in found.tables))
    say(wrapped(transfer_text.MEANING, width))
    tell(f"Stored in {found.file}")
