"""``robench examples``: the texts of a run, with what the attacks changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robench._base.errors import RobenchError, UsageError
from robench.commands.option_types import Decorator
from robench.commands.saying import say_data, tell
from robench.commands.shell import emit, global_flags, session_of
from robench.evaluation import defaults

if TYPE_CHECKING:
    from robench.records.trial_choice import ChosenTrials
    from robench.records.trial_texts import TrialText

FORMATS = ("text", "csv", "jsonl", "parquet", "html")
VERDICTS = ("fooled", "held", "wrong", "held-proved", "error")
SHOWN = 5
"""Number of trials on the screen where no --limit is given."""


def _repeatable(name: str, key: str, text: str, kind: Any = str) -> Decorator:
    metavar = None if isinstance(kind, click.Choice) else "N" if kind is int else "NAME"
    return click.option(name, key, multiple=True, metavar=metavar, type=kind, help=text)


@click.command("examples", short_help="The adversarial texts of a run; export them.")
@click.argument("run", type=click.Path(path_type=Path), default=defaults.OUT, metavar="[RUN]")
@click.option(
    "--row",
    "--defense",
    "--victim",
    "rows",
    multiple=True,
    metavar="NAME",
    help="Row of the table: a defense or a given victim. Repeatable.",
)
@_repeatable("--attack", "attacks", "An attack. Repeatable.")
@_repeatable("--task", "tasks", "A task. Repeatable.")
@_repeatable("--seed", "seeds", "A seed. Repeatable.", int)
@_repeatable("--verdict", "verdicts", "Only these verdicts. Repeatable.", click.Choice(VERDICTS))
@click.option("--label", metavar="NAME", help="Only examples whose true label this is.")
@_repeatable("--id", "ids", "Only this example; its id or the part after the /. Repeatable.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"At most this many trials. Default: {SHOWN} as text, all in other formats.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="Format. Default: that of the ending of --output, else text.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write into this file, replacing it. Needed for parquet.",
)
@global_flags
@click.pass_context
def command(ctx: click.Context, /, run: Path, limit: int | None, **values: Any) -> None:
    """Show what the attacks did to the texts of a run.

    RUN is the folder that 'robench evaluate --out' wrote. The most telling trials come first:
    fooled examples before all others, and among them those with the fewest changed words. If these
    are equal, the one with the highest probability of the wrong label comes first.

    A change is printed as [[old->new]], and in colour on a terminal. The number after a label is
    the victim's probability of it.

    \b
    robench examples
    robench examples runs --defense rift --attack pwws --verdict fooled
    robench examples runs --verdict fooled --output adversarial.csv
    """
    kind = _format(values.pop("kind"), values["output"])
    output: Path | None = values.pop("output")
    as_json = session_of(ctx).json and kind == "text" and output is None
    if kind == "parquet" and output is None:
        raise UsageError("Parquet is not text. Name a file with --output FILE.parquet.")
    few = SHOWN if kind == "text" and not as_json else None
    chosen, trials = _trials(run, limit or few, values)
    for problem in chosen.problems:
        tell(f"Left out: {problem}")
    for sentence in chosen.replaced:
        tell(f"Not shown: {sentence}")
    if as_json:
        from robench.records.trial_export import row_of

        emit([row_of(trial) for trial in trials])
    else:
        if kind == "text" and output is None and not session_of(ctx).quiet:
            tell(_heading(chosen, trials))
            tell()
        _write(trials, kind, output, f"Examples of {run}")
    if kind == "csv":
        _warn_of_formulas(trials)
    if output is not None:
        tell(f"{_count(len(trials), 'trial')} in {output}")
    if chosen.problems:
        number = _count(len(chosen.problems), "result")
        raise RobenchError(f"Left out: {number}. The lines above say why.")


def _warn_of_formulas(trials: Sequence[TrialText]) -> None:
    """Say how many cells a spreadsheet would run. No text is changed."""
    from robench.records.trial_export import formulas

    number = formulas(trials)
    if number:
        tell(
            f"{_count(number, 'cell')} of the CSV begin with =, +, -, @ or a tab, which a "
            "spreadsheet takes for a formula. Import all columns as text."
        )


def _format(kind: str | None, output: Path | None) -> str:
    """Return the format: the named one, or that of the file's ending."""
    if kind is not None or output is None:
        return kind or "text"
    ending = output.suffix.lower().removeprefix(".")
    found = {"txt": "text", "htm": "html", **{name: name for name in FORMATS}}.get(ending)
    if found is None:
        raise UsageError(
            f"--output {output}: the ending says no format. Add --format "
            f"{'|'.join(FORMATS)}, or end the name in one of them."
        )
    return found


def _trials(
    run: Path, limit: int | None, values: dict[str, Any]
) -> tuple[ChosenTrials, list[TrialText]]:
    from robench.records.trial_choice import CellChoice, TrialFilter, load_trials, pick
    from robench.search.attack import Verdict

    if not run.is_dir():
        raise UsageError(
            f"There is no folder '{run}'. Name the folder that 'robench evaluate' wrote with --out."
        )
    cells = {name: tuple(values[name]) for name in ("rows", "attacks", "tasks", "seeds")}
    chosen = load_trials(run, CellChoice(**cells))
    verdicts = tuple(Verdict(name) for name in values["verdicts"])
    wanted = TrialFilter(verdicts, values["label"], tuple(values["ids"]))
    return chosen, pick(chosen.trials, wanted, limit)


def _heading(chosen: ChosenTrials, trials: Sequence[TrialText]) -> str:
    fooled = sum(str(trial.verdict) == "fooled" for trial in chosen.trials)
    cells = _count(len(chosen.records), "cell")
    told = f"{cells} with {_count(len(chosen.trials), 'trial')}, {fooled} of them fooled."
    shown = "No trial passes the filters." if not trials else f"Shown: {len(trials)}."
    return f"{told} {shown}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


def _write(trials: Sequence[TrialText], kind: str, output: Path | None, title: str) -> None:
    from robench._base.files import write_text
    from robench.commands.trial_view import show_trials
    from robench.records.trial_export import to_csv, to_jsonl, write_parquet
    from robench.records.trial_page import to_html
    from robench.records.trial_plain import plain_view

    if kind == "parquet":
        assert output is not None
        write_parquet(output, trials)
        return
    if kind == "text" and output is None:
        show_trials(trials)
        return
    if kind == "jsonl":
        # The lines are for programs and comparisons, so their order does not depend on the texts.
        trials = sorted(trials, key=lambda each: (each.row, each.attack, each.id, each.seed))
    if kind == "html":
        content = to_html(trials, title)
    else:
        content = {"text": plain_view, "csv": to_csv, "jsonl": to_jsonl}[kind](trials)
    if output is None:
        say_data(content)
    else:
        write_text(output, content)
