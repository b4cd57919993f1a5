"""The text of the script that ``robench slurm`` writes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import click
from click.core import ParameterSource

from robench._base.errors import UsageError
from robench.commands.config import long_name
from robench.plugins.option_routing import route_options
from robench.training.registry import DEFENSES

_FOR_EACH = ("defenses", "seeds", "tasks", "options", "dry_run")
"""Options of a training that differ between the victims, or that it does not need."""
MERGE_TIME = "01:00:00"
"""Time limit of the job that joins the shards."""
MERGE_MEMORY = "8G"
"""Its memory."""


@dataclass(frozen=True)
class Job:
    """What the script is to run.

    Attributes:
        arguments: options of ``robench evaluate``, as they were given.
        out: folder of the run.
        shards: number of shards.
        time: time limit of a task.
        gpus: GPUs of a task.
        cpus: cores of a task.
        memory: memory of a task.
        further: further options of sbatch.
        setups: lines of shell before robench runs.
        trainings: options of ``robench train``, one tuple for each victim that is trained.
    """

    arguments: tuple[str, ...]
    out: str
    shards: int
    time: str
    gpus: int
    cpus: int
    memory: str
    further: tuple[str, ...]
    setups: tuple[str, ...]
    trainings: tuple[tuple[str, ...], ...]


def training_words(parsed: click.Context) -> Iterator[tuple[str, ...]]:
    """Yield the options of ``robench train`` for each victim of an evaluation.

    Args:
        parsed: the context of ``robench evaluate``.
    """
    from robench.commands.train import command as train
    from robench.evaluation.resolve import expanded_defenses
    from robench.tasks.resolving import expand_tasks

    of_training = {str(each.name): each for each in train.params}
    shared = [
        word
        for name, value in parsed.params.items()
        if name in of_training and name not in _FOR_EACH
        if parsed.get_parameter_source(name) != ParameterSource.DEFAULT
        for word in _words(of_training[name], value)
    ]
    defenses = expanded_defenses(parsed.params["defenses"])
    tasks = expand_tasks(parsed.params["tasks"])
    for task, defense, seed in product(tasks, defenses, dict.fromkeys(parsed.params["seeds"])):
        own = _options_of(defense, parsed.params["options"])
        yield ("--task", task, "--defense", defense, "--seed", str(seed), *shared, *own)


def _options_of(defense: str, pairs: Sequence[str]) -> Iterator[str]:
    """Yield the plugin options that a defense takes; the others are about other plugins."""
    model = DEFENSES.get(defense).Options
    for pair in pairs:
        key, _, value = (part.strip() for part in pair.partition("="))
        try:
            route_options({key: value}, {defense: model}, {})
        except UsageError:
            continue
        yield from ("--option", pair)


def _words(option: click.Parameter, value: Any) -> Iterator[str]:
    """Yield an option as it stands on the command line."""
    name = long_name(option)
    if value is None or not name or not isinstance(option, click.Option):
        return
    if option.is_flag:
        yield from [f"--{name}"] if value else option.secondary_opts[:1]
        return
    for each in value if option.multiple else (value,):
        yield from (f"--{name}", str(each))


def script(job: Job) -> str:
    """Return the text of the script."""
    return "\n".join(
        [
            _HEAD.format(shards=job.shards),
            *_directives(job),
            "",
            "set -euo pipefail",
            "",
            *_submit(job),
            "",
            *job.setups,
            *_run(job),
            "",
        ]
    )


_HEAD = """\
#!/bin/bash
# Written by 'robench slurm': an evaluation in {shards} shards.
#
#   bash THIS_FILE          submits the jobs; each waits until the one before has ended well
#   bash THIS_FILE merge    joins the shards here and now, and says what is missing
#
# If a task fails or reaches its time limit, submit the file again. Finished victims, trials and
# records are kept, and only what is missing is done.
#"""


_DEPENDENT = "--kill-on-invalid-dep=yes"
"""A job ends where the one before has failed, instead of waiting for ever."""


def _directives(job: Job) -> list[str]:
    """Return what sbatch reads of the file; the submitting part overrides some of it."""
    lines = [
        "--job-name=robench",
        "--ntasks=1",
        f"--cpus-per-task={job.cpus}",
        f"--mem={job.memory}",
        f"--time={job.time}",
        "--output=%x-%A_%a.log",
        *([f"--gres=gpu:{job.gpus}"] if job.gpus else []),
        *job.further,
    ]
    return [f"#SBATCH {line}" for line in lines]


def _submit(job: Job) -> list[str]:
    """Return the part that submits the jobs, where no stage is named."""
    lines = [
        "# Submit one job after another.",
        'if [[ -z "${ROBENCH_STAGE:-}" && -z "${1:-}" ]]; then',
        "    command -v sbatch > /dev/null || {",
        '        echo "There is no sbatch here: run this on a node of the SLURM cluster." >&2',
        "        exit 1",
        "    }",
    ]
    after = ""
    if job.trainings:
        lines.append(
            "    train=$(ROBENCH_STAGE=train sbatch --parsable --job-name=robench-train "
            f'--array=1-{len(job.trainings)} "$0")'
        )
        lines.append('    echo "Training: job ${train%%;*}"')
        after = f' {_DEPENDENT} --dependency="afterok:${{train%%;*}}"'
    gpus = " --gres=none" if job.gpus else ""
    return [
        *lines,
        "    attack=$(ROBENCH_STAGE=attack sbatch --parsable --job-name=robench-attack "
        f'--array=1-{job.shards}{after} "$0")',
        '    echo "Attacks:  job ${attack%%;*}"',
        "    merge=$(ROBENCH_STAGE=merge sbatch --parsable --job-name=robench-merge "
        f'{_DEPENDENT} --dependency="afterok:${{attack%%;*}}"{gpus} --cpus-per-task=1 '
        f"--mem={MERGE_MEMORY} "
        f'--time={MERGE_TIME} "$0")',
        '    echo "Merge:    job ${merge%%;*}"',
        "    exit",
        "fi",
    ]


def _run(job: Job) -> list[str]:
    """Return the part that runs one task."""
    lines = ["# Run one task of a job.", 'case "${ROBENCH_STAGE:-$1}" in']
    if job.trainings:
        lines += ["train)", '    case "$SLURM_ARRAY_TASK_ID" in']
        for number, words in enumerate(job.trainings, start=1):
            lines.append(f"    {number}) robench train {shlex.join(words)} ;;")
        lines += ["    esac", "    ;;"]
    return [
        *lines,
        "attack)",
        f"    robench evaluate {shlex.join(job.arguments)} \\",
        f'        --shard "$SLURM_ARRAY_TASK_ID/{job.shards}"',
        "    ;;",
        "merge)",
        f"    robench merge {shlex.quote(job.out)}",
        "    ;;",
        "*)",
        "    echo \"There is no stage '${ROBENCH_STAGE:-$1}'.\" >&2",
        "    exit 2",
        "    ;;",
        "esac",
    ]
