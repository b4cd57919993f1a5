"""``robench sweep``: evaluate at several values of an option, for one table and one figure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from robench.commands.choices import (
    attack_option,
    backend_options,
    defense_option,
    dry_run_option,
    evaluation_options,
    seed_option,
    task_option,
    training_options,
)
from robench.commands.config import ConfiguredCommand
from robench.commands.option_pairs import parse_options
from robench.commands.results_data import sweep_data
from robench.commands.running import (
    check_measure,
    fail_on_error_trials,
    make_request,
    prepare,
    run_with_progress,
    warn_of_damaged_records,
)
from robench.commands.saying import say, say_line
from robench.commands.shell import Session, global_flags, session_of, terminal_width

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.sweep import SweepPoint, SweepRow
    from robench.records.record import Record


Swept: TypeAlias = "tuple[list[SweepRow], list[Record]]"


@click.command(
    "sweep",
    cls=ConfiguredCommand,
    short_help="Evaluate at several values of an option and draw the curve.",
)
@defense_option
@attack_option
@task_option
@seed_option("training and search")
@training_options
@evaluation_options
@backend_options
@click.option(
    "--figure/--no-figure",
    default=True,
    show_default=True,
    help="Whether to draw the figure; needs the extra 'plots'.",
)
@dry_run_option
@global_flags
@click.pass_context
def command(
    ctx: click.Context, /, dry_run: bool, measure: bool, figure: bool, **values: Any
) -> None:
    """Evaluate at every combination of option values; commas separate the values of an option.

    Each point is an evaluation like that of 'robench evaluate', in the same folder. What exists is
    reused, so the same command continues an interrupted sweep.

    \b
    robench sweep --defense rift --attack genetic --option defense.alpha=0,0.05,0.1,0.3
    robench sweep --defense rift --defense ascc --attack genetic --option defense.beta=1,4,10
    """
    check_measure(dry_run, measure)
    session = session_of(ctx)
    prepare(session, make_request(values))
    from robench.evaluation.sweep import sweep_points

    options = parse_options(values.pop("options"))

    def request(chosen: Mapping[str, str]) -> EvaluationRequest:
        pairs = [f"{name}={value}" for name, value in chosen.items()]
        return make_request({**values, "options": pairs})

    points = sweep_points(options, request)
    if figure:
        from robench.figures.drawing import require

        require()
    if dry_run:
        from robench.commands.plan_text import print_plan
        from robench.evaluation.cost_plan import merged
        from robench.evaluation.run import plan_with_costs

        plans = [plan_with_costs(point.request, measure=measure) for point in points]
        print_plan(session, merged(plans))
    else:
        run(points, figure, session)


def run(points: list[SweepPoint], figure: bool, session: Session) -> None:
    """Sweep, write table and figure, and print them, even where some points failed."""
    from robench._base.files import write_text
    from robench.evaluation.sweep import file_stem, sweep
    from robench.evaluation.sweep_table import render_sweep, sweep_on_terminal

    out = points[0].request.out
    drawn, table = out / f"{file_stem(points)}.png", out / f"{file_stem(points)}.md"

    def write(swept: Swept) -> None:
        rows, records = swept
        if figure:
            from robench.figures.ablation import draw
            from robench.figures.drawing import save

            save(draw(rows), drawn)
        write_text(table, render_sweep(points, rows, records, drawn.name if figure else None))

    def print_results(swept: Swept) -> None:
        rows, records = swept
        if not records:
            return
        write(swept)
        say(f"\n{sweep_on_terminal(rows, records, terminal_width())}\n")
        say_line(f"Markdown: {table}")
        if figure:
            say_line(f"Figure:   {drawn}")
        warn_of_damaged_records(out)

    def as_data(swept: Swept) -> dict[str, Any]:
        if swept[1]:
            write(swept)
        files = {"table": table, "figure": drawn if figure else None} if swept[1] else {}
        return sweep_data(*swept, out) | files

    _, records = run_with_progress(session, partial(sweep, points), print_results, as_data)
    fail_on_error_trials(records, out)
