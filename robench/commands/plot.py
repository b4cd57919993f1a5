"""``robench plot``: draw figures of victims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from robench._base.errors import RobenchError, UsageError
from robench._base.quiet import quiet_environment
from robench.commands.option_types import EXISTING_FOLDER, Function
from robench.commands.saying import say, say_line, tell
from robench.commands.shell import emit, global_flags, session_of, terminal_width
from robench.evaluation import defaults

if TYPE_CHECKING:
    from robench.models.victim import Victim
    from robench.records.record import Record
    from robench.tasks.example import Example

victims_option = click.option(
    "--victim",
    "folders",
    multiple=True,
    required=True,
    type=EXISTING_FOLDER,
    help="A victim's folder, such as one in runs/victims. Repeatable.",
)


def target_option(name: str) -> Callable[[Function], Function]:
    """Make the option ``--to``, with ``name`` as the default file."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option(
        "--to",
        "target",
        type=kind,
        default=Path(name),
        show_default=True,
        help="File to write; its extension decides the format.",
    )


def check_victims(folders: tuple[Path, ...], file: str) -> None:
    """Refuse folders that a figure cannot be drawn from.

    Raises:
        UsageError: a folder lacks ``file``, or two folders have the same name.
    """
    for folder in folders:
        if not (folder / file).is_file():
            raise UsageError(
                f"'{folder}' holds no victim: there is no '{file}'. "
                "Name a victim's folder, such as one in runs/victims."
            )
    names = [folder.resolve().name for folder in dict.fromkeys(folders)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"Two of the folders are called '{twice}', and the figure could not tell them apart. "
            "Copy one under another name."
        )


def _print_written(target: Path) -> None:
    if session_of(click.get_current_context()).json:
        emit({"figure": target})
    else:
        say_line(f"wrote {target}")


@click.group(
    "plot",
    short_help="Draw the figures of the RIFT paper from victims, and curves of a run.",
    invoke_without_command=True,
)
@global_flags
@click.pass_context
def command(ctx: click.Context) -> None:
    """Draw figures of victims and of runs; needs the extra 'plots'."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command.command("training", short_help="Draw distance, information and accuracies by epoch.")
@victims_option
@target_option("training.png")
@global_flags
def training(folders: tuple[Path, ...], target: Path) -> None:
    """Draw each epoch's distance to the pre-trained weights, information and dev accuracies.

    This is Figure 2a of the RIFT paper.
    """
    from robench.figures.drawing import check_path, save
    from robench.figures.training import draw

    check_path(target)
    check_victims(folders, "training.json")
    save(draw(folders), target)
    _print_written(target)


@command.command("geometry", short_help="Draw features before and after fine-tuning.")
@victims_option
@click.option(
    "--encoder",
    metavar="NAME",
    help="The encoder before fine-tuning, where the name in the victims' cards does not find it.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "dev"]),
    default="test",
    show_default=True,
    help="The split whose texts are drawn.",
)
@click.option(
    "--task",
    metavar="FILE",
    help="The file of the victims' task, where it is data of your own. Its columns are guessed.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=4),
    default=500,
    show_default=True,
    metavar="N",
    help="Number of texts; the labels take turns.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of t-SNE.",
)
@click.option(
    "--data",
    type=EXISTING_FOLDER,
    envvar="ROBENCH_DATA",
    show_envvar=True,
    help="Folder with the data sets or their archives.",
)
@click.option(
    "--hub/--no-hub",
    default=True,
    show_default=True,
    help="Whether to fetch missing data from the Hugging Face hub.",
)
@click.option(
    "--device",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1, mps.",
)
@target_option("geometry.png")
@global_flags
def geometry(
    folders: tuple[Path, ...],
    encoder: str | None,
    split: str,
    task: str | None,
    examples: int,
    seed: int,
    data: Path | None,
    hub: bool,
    device: str,
    target: Path,
) -> None:
    """Draw the features of the same texts before and after fine-tuning, by t-SNE.

    This is Figure 3 of the RIFT paper. A FILE that ends in .json gets the points as numbers. As
    RUN/geometry.json, 'robench site build --runs RUN' and 'robench report RUN' draw them.

    \b
    robench plot geometry --victim runs/victims/rift-imdb-tiny-s0-0123abcd
    robench plot geometry --victim runs/victims/rift-imdb-tiny-s0-0123abcd --to runs/geometry.json
    """
    from robench.figures.drawing import check_path, require, save

    require("sklearn")
    numbers = target.suffix.lower() == ".json"
    if not numbers:
        check_path(target)
    check_victims(folders, "victim.json")
    quiet_environment()
    from robench._base.environment import choose_device
    from robench.figures.geometry import draw, measure, points_of
    from robench.figures.geometry_points import write_points
    from robench.models.victim import Victim

    victims = {folder.name: Victim.load(folder, choose_device(device)) for folder in folders}
    first = next(iter(victims.values()))
    name = encoder or str(first.card["encoder"])
    measured = measure(victims, name, texts(first, task, split, examples, data, hub))
    if numbers:
        origin = {"task": first.task, "encoder": name, "split": split}
        write_points(target, points_of(measured, first.labels, seed, **origin))
    else:
        save(draw(measured, first.labels, seed), target)
    _print_written(target)


@command.command("curves", short_help="Draw accuracy by queries, changed words and options.")
@click.argument("run", type=EXISTING_FOLDER, default=defaults.OUT, metavar="[RUN]")
@click.option(
    "--row",
    "--defense",
    "--victim",
    "rows",
    multiple=True,
    metavar="NAME",
    help="Row of the table: a defense or a given victim. Repeatable.",
)
@click.option("--attack", "attacks", multiple=True, metavar="NAME", help="An attack. Repeatable.")
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="The task.")
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; its extension decides the format.  [default: RUN/curves.png]",
)
@global_flags
@click.pass_context
def curves(
    ctx: click.Context, /, run: Path, target: Path | None, **chosen: tuple[str, ...]
) -> None:
    """Draw accuracy under attack by queries and by changed words, and print the numbers.

    RUN is the folder that 'robench evaluate --out' wrote. Where an attack was run with several
    values of an option, such as its population, the figure shows accuracy by this option too.
    'robench sweep' makes such runs.

    \b
    robench plot curves runs --defense rift --defense standard --attack genetic
    robench sweep --defense rift --attack genetic --option genetic.population=10,30,60
    """
    from robench.figures.drawing import check_path, save
    from robench.records.curve_tables import curve_data
    from robench.records.curves import CURVES
    from robench.records.render import CURVE_TITLES, curve_table
    from robench.records.terminal import fitted

    target = run / "curves.png" if target is None else target
    check_path(target)
    records = _records_of_one_table(run, chosen)
    from robench.figures.curves import draw

    save(draw(records), target)
    if session_of(ctx).json:
        named = [(each, {"victim": each.row, "attack": each.attack.label}) for each in records]
        points = [
            names | {"seed": record.search.seed} | point
            for record, names in named
            for point in curve_data(record)
        ]
        emit({"figure": target, "points": points})
        return
    for name in CURVES:
        headings, body = curve_table(name, records)
        if body:
            table = fitted(headings, body, terminal_width(), names=2)
            say("\n".join([f"Accuracy under attack in %, {CURVE_TITLES[name]}", *table]))
    _print_written(target)


def _records_of_one_table(run: Path, chosen: Mapping[str, tuple[str, ...]]) -> list[Record]:
    """Return the chosen records of a run, which share a table.

    Raises:
        UsageError: there is no such record, none has a curve, or they belong to several tables.
        RobenchError: no record can be read.
    """
    from robench.records.comparable import comparable_groups, newest_that_agree
    from robench.records.record_files import find_records
    from robench.records.run_folder import RunFolder
    from robench.records.trial_choice import CellChoice

    on_disk = find_records(RunFolder(run).records)
    found, damage = on_disk.records, on_disk.damage(run)
    if damage and not found:
        raise RobenchError(damage)
    if damage:
        tell(f"Warning: {damage}")
    choice = CellChoice(chosen["rows"], chosen["attacks"], chosen["tasks"])
    wanted = {name: record for name, record in found.items() if choice.fits(record)}
    if not wanted:
        raise UsageError(
            f"The folder {run} has {'no such record' if found else 'no records'}. Name the folder "
            "of a run, and rows and attacks as its table shows them."
        )
    groups = comparable_groups(wanted)
    if len(groups) > 1:
        raise UsageError(
            f"The records of {run} belong to {len(groups)} tables: {'; '.join(groups)}. Draw one "
            "of them: choose it by --task or --defense, or use a folder for each setting."
        )
    (members,) = groups.values()
    records = list(newest_that_agree(members).records.values())
    if all(record.curves is None for record in records):
        raise UsageError(
            f"The records of {run} hold no curves: an older robench made them, or all have "
            "errors. Run the same evaluation again."
        )
    return records


def texts(
    victim: Victim, task: str | None, split: str, number: int, data: Path | None, hub: bool
) -> list[Example]:
    """Return the first examples of a split of the victim's task; the labels take turns.

    Args:
        victim: the victim.
        task: the file of its task; None for a registered task.
        split: name of the split.
        number: number of examples.
        data: the data folder.
        hub: whether the hub may be used.

    Raises:
        UsageError: the task is a file and is not named, or another one is.
    """
    from robench.tasks.balanced import balanced_prefix
    from robench.tasks.base import DataSource
    from robench.tasks.loading import load_splits
    from robench.tasks.resolving import check_tasks, find_task, is_own_data, task_name

    if task is None and (is_own_data(victim.task) or victim.task.startswith("hf-")):
        raise UsageError(
            f"The victim's task is the user's own data '{victim.task}'. Name the file with --task."
        )
    if task is not None and task_name(task) != victim.task:
        raise UsageError(f"--task {task} is not the victim's task '{victim.task}'.")
    check_tasks([task or victim.task])
    own = task or victim.task
    splits = load_splits(own, find_task(own, hub=hub), DataSource(data, hub))
    return balanced_prefix(getattr(splits, split), number)
