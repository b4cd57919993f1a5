"""``robench report``: one self-contained page of a run."""

from __future__ import annotations

from pathlib import Path

import click

from robench.commands.saying import say_line, tell
from robench.commands.shell import emit, global_flags, session_of
from robench.evaluation import defaults


@click.command("report", short_help="Write one page of a run, with charts and examples.")
@click.argument(
    "run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=defaults.OUT,
    metavar="[RUN]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write.  [default: RUN/report.html]",
)
@click.option(
    "--examples",
    type=click.IntRange(min=0, max=2000),
    default=20,
    show_default=True,
    metavar="N",
    help="At most this many adversarial examples.",
)
@global_flags
@click.pass_context
def command(ctx: click.Context, run: Path, out: Path | None, examples: int) -> None:
    """Write one page of a run that needs no other file and no network.

    RUN is the folder that 'robench evaluate --out' wrote. The page has the tables, the charts, the
    commands, the trainings and some adversarial examples.

    \b
    robench report
    robench report runs --out report.html
    """
    from robench._base.files import write_text
    from robench.site.report import report

    out = run / "report.html" if out is None else out
    made = report(run, examples)
    write_text(out, made.page)
    for problem in made.problems:
        tell(f"Left out: {problem}")
    size = len(made.page.encode())
    if session_of(ctx).json:
        emit({"report": out, "bytes": size, "left_out": list(made.problems)})
        return
    say_line(f"wrote {out} ({size / 1e6:.1f} MB)")
