"""``robench compare``: two rows on the same examples."""

from __future__ import annotations

from pathlib import Path

import click

from robench.commands.saying import say, tell
from robench.commands.shell import emit, global_flags, session_of, terminal_width

OUT = Path("runs")


@click.command("compare", short_help="Compare two rows on the same examples.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--attack",
    "attacks",
    multiple=True,
    metavar="LABEL",
    help="An attack that both rows have. Default: all of them. Repeatable.",
)
@click.option("--task", metavar="NAME", help="The task. Needed if both rows have several.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=OUT,
    show_default=True,
    help="Folder of the rows that are named without a folder.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="How to print the comparison.",
)
@global_flags
@click.pass_context
def command(
    ctx: click.Context,
    first: str,
    second: str,
    attacks: tuple[str, ...],
    task: str | None,
    out: Path,
    style: str,
) -> None:
    """Compare the rows A and B: a sentence to quote, a table, and what made the difference.

    A row is named as in the table of a run. Its options can be left out where only one row has that
    name. A folder may stand before it, and a setting after it:

    \b
    rift                     a row of --out
    'ascc(alpha=0.3)'        a row with options
    runs-2:rift              a row of another folder
    runs-2                   a folder that holds one row
    rift@limit=100           one of several settings (task, test, encoder, pool,
                             protocol, limit, budget, lm, digest)

    Both rows are judged on their common examples, seed by seed. Another task, test set, surface or
    language model is refused. Other differences, such as another encoder, give a warning.

    \b
    robench compare rift standard
    robench compare rift standard --attack pwws --format markdown
    robench compare runs-1:rift runs-2:rift
    """
    from robench.records import comparison_text
    from robench.records.comparison import compare

    result = compare(first, second, attacks, task=task, out=out)
    if session_of(ctx).json:
        emit(result.to_dict())
        return
    for warning in result.warnings:
        tell(f"Warning: {warning}")
    if style == "markdown":
        say(comparison_text.markdown(result), nl=False)
    else:
        say(comparison_text.terminal(result, terminal_width()), nl=False)
