"""``robench merge``: join the shards of a run on many machines."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from robench._base.errors import UsageError
from robench.commands.evaluate import print_results
from robench.commands.option_types import Folder
from robench.commands.results_data import evaluation_data
from robench.commands.running import fail_on_error_trials, run_with_progress
from robench.commands.shell import global_flags, session_of


@click.command("merge", short_help="Join the shards of a run and print the table.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=Folder(),
    help="Folder of the joined run. Default: FOLDER, where there is only one.",
)
@global_flags
@click.pass_context
def command(ctx: click.Context, /, folders: tuple[Path, ...], out: Path | None) -> None:
    """Join the trials of shards, and write the records of the cells that are complete.

    FOLDER is what 'robench evaluate --shard I/N' wrote with --out; the shards of a run may share
    one. Nothing is attacked and no GPU is needed. The records are those of a run without shards,
    but for dates, times and memory. Shards of different victims or seeds are not joined. If
    examples are missing, their shards are named and the exit code is 1; run those shards, and then
    this command again.

    \b
    robench merge runs
    robench merge machine-1/ machine-2/ --out joined
    """
    if out is None and len(folders) > 1:
        raise UsageError("Name the folder of the joined run with --out, as there are several.")
    target = folders[0] if out is None else out
    session = session_of(ctx)
    session.kept = (
        f"What was joined in {target} is kept; run the same command again to continue from there."
    )
    from robench.evaluation.merging import merge

    records = run_with_progress(
        session,
        partial(merge, folders, target),
        partial(print_results, target),
        lambda records: evaluation_data(records, target),
    )
    fail_on_error_trials(records, target)
