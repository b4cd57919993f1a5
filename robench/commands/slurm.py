"""``robench slurm``: write the script of a job array for an evaluation."""

from __future__ import annotations

import re
from pathlib import Path

import click

from robench._base.errors import UsageError
from robench._base.files import write_text
from robench.commands.config_writing import NOT_WRITTEN
from robench.commands.evaluate import command as evaluate_command
from robench.commands.running import make_request
from robench.commands.saying import say_data, say_line
from robench.commands.shell import Session, emit, global_flags, session_of
from robench.commands.slurm_script import Job, script, training_words
from robench.evaluation import defaults

_TIME = re.compile(r"(\d+-)?\d{1,3}(:\d{2}){0,2}")
_SIZE = re.compile(r"\d+[KMGT]?", re.IGNORECASE)
_NOT_HERE = ("shard", "retrain", *NOT_WRITTEN)
"""Options of an evaluation that an array cannot have."""


@click.command(
    "slurm",
    short_help="Write the SLURM script of an evaluation in shards.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- evaluate OPTIONS")
@click.option(
    "--shards",
    type=click.IntRange(min=1, max=100_000),
    default=8,
    show_default=True,
    metavar="N",
    help="Tasks of the job array; each attacks one part of the examples.",
)
@click.option(
    "--time",
    "limit",
    default="04:00:00",
    show_default=True,
    metavar="TIME",
    help="Time limit of a task, as sbatch takes it.",
)
@click.option(
    "--gpus",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="GPUs of a task; 0 for none.",
)
@click.option(
    "--cpus",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="Processor cores of a task.",
)
@click.option(
    "--memory", default="16G", show_default=True, metavar="SIZE", help="Memory of a task."
)
@click.option(
    "--sbatch",
    "further",
    multiple=True,
    metavar="OPTION",
    help="A further option of sbatch for all jobs: --sbatch=--partition=NAME. Repeatable.",
)
@click.option(
    "--setup",
    "setups",
    multiple=True,
    metavar="LINE",
    help="A line of shell before robench runs: --setup='module load cuda'. Repeatable.",
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the script to this file. Default: print it.",
)
@global_flags
@click.pass_context
def command(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    shards: int,
    limit: str,
    gpus: int,
    cpus: int,
    memory: str,
    further: tuple[str, ...],
    setups: tuple[str, ...],
    file: Path | None,
) -> None:
    """Write a script that runs an evaluation as jobs of a SLURM cluster.

    After -- stands a whole command line of 'robench evaluate'. The script submits up to three
    jobs: one task for each victim that must be trained, an array that attacks the examples in
    shards, and one that joins the shards. Each waits for the one before. All tasks share the folder
    of --out, so it must lie on a disk that every node sees.

    \b
    robench slurm --shards 8 --file rift.sh -- evaluate --defense rift --attack pwws --out runs
    bash rift.sh
    """
    evaluation = words[1:] if words[:1] == ("robench",) else words
    if evaluation[:1] != ("evaluate",):
        raise UsageError(
            "After -- stands a command line of 'robench evaluate', such as: robench slurm "
            "--shards 8 -- evaluate --defense rift --attack pwws."
        )
    if not _TIME.fullmatch(limit):
        raise UsageError(f"--time '{limit}' is no time of SLURM. Write hours as 04:00:00.")
    if not _SIZE.fullmatch(memory):
        raise UsageError(f"--memory '{memory}' is no size of SLURM. Write gigabytes as 16G.")
    if file is not None and not file.absolute().parent.is_dir():
        raise UsageError(f"There is no folder '{file.parent}' for --file. Make it first.")
    one_line = {"--memory": (memory,), "--sbatch": further, "--setup": setups}
    for option, values in one_line.items():
        if any("\n" in value for value in values):
            raise UsageError(f"{option} holds a line break. Give it one line at a time.")
    if any(not each.startswith("-") for each in further):
        raise UsageError("--sbatch takes an option of sbatch with its dashes: --partition=NAME.")
    arguments = list(evaluation[1:])
    # A session of its own: its --json and --quiet are about the evaluation.
    parsed = evaluate_command.make_context("robench evaluate", list(arguments), obj=Session())
    _check(parsed)
    judged = parsed.params["limit"]
    if judged is not None and shards > judged:
        raise UsageError(
            f"--shards {shards} is more than --limit {judged}: some shards would be empty. "
            f"Use {judged} shards at most."
        )
    job = Job(
        arguments=tuple(arguments),
        out=str(parsed.params["out"]),
        shards=shards,
        time=limit,
        gpus=gpus,
        cpus=cpus,
        memory=memory,
        further=further,
        setups=setups,
        trainings=tuple(training_words(parsed)),
    )
    text = script(job)
    if file is not None:
        write_text(file, text)
    if session_of(ctx).json:
        emit({"script": text, "file": file, "shards": shards, "trainings": len(job.trainings)})
    elif file is None:
        say_data(text)
    else:
        say_line(f"Written: {file}. Submit it on the cluster with: bash {file}")


def _check(parsed: click.Context) -> None:
    """Refuse what an array cannot run, before it waits in a queue.

    Raises:
        UsageError: an option does not belong here, or a name does not exist.
    """
    for name in _NOT_HERE:
        if parsed.params.get(name.replace("-", "_")):
            raise UsageError(
                f"Leave --{name} out: the script sets it for each task, or needs none."
            )
    if parsed.params["backend"] != defaults.BACKEND:
        raise UsageError("Leave --backend out: every task of the array works on its own node.")
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolve import check_names

    # Some options are about the command and not about the run, such as --dry-run.
    fields = EvaluationRequest.model_fields
    check_names(
        make_request({name: parsed.params[name] for name in parsed.params if name in fields})
    )
