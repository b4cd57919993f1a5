"""``robench site``: build the static site of boards."""

from __future__ import annotations

from pathlib import Path

import click

from robench.commands.option_types import EXISTING_FOLDER
from robench.commands.saying import say, say_line, tell
from robench.commands.shell import emit, global_flags, session_of


@click.group("site", short_help="Build a static site of the boards.", invoke_without_command=True)
@global_flags
@click.pass_context
def command(ctx: click.Context) -> None:
    """Build pages of the boards that open from the disk."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command.command("build", short_help="Write the site into one folder.")
@click.option(
    "--boards",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("leaderboards"),
    show_default=True,
    metavar="FOLDER",
    help="Folder with the boards' .toml files and their records.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("site"),
    show_default=True,
    metavar="FOLDER",
    help="Folder of the site.",
)
@click.option(
    "--runs",
    multiple=True,
    type=EXISTING_FOLDER,
    metavar="FOLDER",
    help="Folder of a run: its trials give adversarial examples, and its trainings are drawn. "
    "Repeatable.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=1, max=2000),
    default=120,
    show_default=True,
    metavar="N",
    help="At most this many adversarial examples.",
)
@global_flags
@click.pass_context
def build_command(
    ctx: click.Context, boards: Path, out: Path, runs: tuple[Path, ...], examples: int
) -> None:
    """Write an overview, a page for each board and a page for each row.

    The pages open from the disk with a double click. They load nothing from a network.

    \b
    robench site build
    robench site build --runs runs --out pages
    """
    from robench.site.build import SiteRequest, build, write

    site = build(SiteRequest(boards, runs, examples))
    write(site, out)
    for problem in site.problems:
        tell(f"Left out: {problem}")
    pages = sum(name.endswith(".html") for name in site.files)
    if session_of(ctx).json:
        emit({"site": out, "pages": pages, "bytes": site.size, "left_out": site.problems})
        return
    say_line(f"wrote {pages} pages ({site.size / 1e6:.1f} MB)")
    say_line(f"open {out / 'index.html'}")
