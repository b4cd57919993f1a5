"""The options that several commands share."""

from __future__ import annotations

from typing import Any

import click

from robench.commands.completion import complete_kind, complete_option
from robench.commands.option_types import (
    EXISTING_FILE,
    EXISTING_FOLDER,
    Decorator,
    Folder,
    Workers,
    apply,
)
from robench.commands.own_data_choices import own_data_options
from robench.evaluation import defaults
from robench.evaluation.backend import backend_names
from robench.protocol import DEFAULT_PROTOCOL

defense_option = click.option(
    "--defense",
    "defenses",
    multiple=True,
    required=True,
    shell_complete=complete_kind("defense", "all"),
    metavar="NAME",
    help="A defense, several as one+other, or 'all'. Repeatable.",
)
optional_defense_option = click.option(
    "--defense",
    "defenses",
    multiple=True,
    shell_complete=complete_kind("defense", "all"),
    metavar="NAME",
    help="A defense, several as one+other, or 'all': a victim is trained with it. Repeatable. "
    "Needed where there is no --victim.",
)
given_options = apply(
    [
        click.option(
            "--victim",
            "victims",
            multiple=True,
            metavar="FOLDER_OR_HUB_ID",
            help="Use this classifier as it is: a model of transformers with a classification "
            "head, or a victim that robench saved (a folder, or hf:USER/NAME). Without --protocol, "
            "the protocol is the one that fits it. Repeatable.",
        ),
        click.option(
            "--name",
            "names",
            multiple=True,
            metavar="NAME",
            help="Name of a --victim in tables, in their order. Default: the last part of its "
            "location. Repeatable.",
        ),
        click.option(
            "--label-map",
            "label_map",
            multiple=True,
            metavar="MODEL=TASK",
            help="The task's name of a label of the model: POSITIVE=positive. Repeatable.",
        ),
        click.option(
            "--test",
            "tests",
            multiple=True,
            metavar="FILE_OR_TASK",
            help="Judge the victims on the labelled texts of this file or task, and not on the "
            "task's own test set. Repeatable.",
        ),
    ]
)
"""Victims that the user gives, and other texts to judge."""
attack_option = click.option(
    "--attack",
    "attacks",
    multiple=True,
    required=True,
    shell_complete=complete_kind("attack", "all"),
    metavar="NAME[@SET]",
    help="An attack, or 'all'; with @ on another substitution set, such as pwws@held-out. "
    "Repeatable.",
)
task_option = click.option(
    "--task",
    "tasks",
    multiple=True,
    default=(defaults.TASK,),
    show_default=True,
    shell_complete=complete_kind("task", "all"),
    metavar="NAME",
    help="A task, a file (reviews.csv), hf:NAME[/CONFIG], or 'all'. Repeatable.",
)


def dry_run_option(command: Any) -> Any:
    """Add ``--dry-run`` and ``--measure``."""
    for option in (
        click.option(
            "--measure",
            is_flag=True,
            help="With --dry-run: measure for some seconds what was never run on this device.",
        ),
        click.option(
            "--dry-run",
            is_flag=True,
            help="Check everything and print the plan, with the time it will take; run nothing.",
        ),
    ):
        command = option(command)
    return command


def seed_option(purpose: str) -> Decorator:
    """Make the option ``--seed``; ``purpose`` is what the seed is for."""
    kind = click.IntRange(min=0)
    return click.option(
        "--seed",
        "seeds",
        multiple=True,
        type=kind,
        metavar="N",
        default=(0,),
        show_default=True,
        help=f"Seed of {purpose}. Repeatable.",
    )


backend_options = apply(
    [
        click.option(
            "--backend",
            type=click.Choice(backend_names()),
            default=defaults.BACKEND,
            show_default=True,
            help="Where victims are trained and attacked: on this machine, or on the machines of "
            "a Ray cluster.",
        ),
        click.option(
            "--ray-address",
            metavar="ADDRESS",
            help="Address of the Ray cluster, such as auto or ray-head:6379. Default: that of the "
            "environment variable RAY_ADDRESS, or a new cluster on this machine.",
        ),
    ]
)
"""Where the work is done."""
shard_option = click.option(
    "--shard",
    metavar="I/N",
    help="Attack only part I of N of the examples, such as 1/4. Such a run writes trials and no "
    "record; 'robench merge' joins the shards.",
)

training_options = apply(
    [
        click.option(
            "--encoder",
            shell_complete=complete_kind("encoder"),
            metavar="NAME",
            default=defaults.ENCODER,
            show_default=True,
            help="A name of 'robench list encoders', a hub id or a local folder.",
        ),
        click.option(
            "--protocol",
            shell_complete=complete_kind("protocol"),
            metavar="NAME",
            help="A fixed set of evaluation choices; see 'robench list protocols'. "
            f"Default: {DEFAULT_PROTOCOL}.",
        ),
        click.option(
            "--option",
            "options",
            multiple=True,
            shell_complete=complete_option,
            metavar="KIND.NAME=VALUE",
            help="An option of a plugin: defense.alpha=0.3, attack.population=20, or "
            "rift.alpha=0.3 for one of several plugins. Repeatable.",
        ),
        click.option(
            "--data",
            type=EXISTING_FOLDER,
            envvar="ROBENCH_DATA",
            show_envvar=True,
            help="Folder with the data sets or their archives.",
        ),
        click.option(
            "--hub/--no-hub",
            default=True,
            show_default=True,
            help="Whether to fetch missing data from the Hugging Face hub.",
        ),
        click.option(
            "--train-pool",
            metavar="NAME",
            help="Train on another pool of the task, such as 'small' of snli; "
            "see 'robench show task snli'.",
        ),
        click.option(
            "--settings-of",
            metavar="TASK",
            help="Train with the published settings of another task, such as snli. "
            "Default: those of the task itself.",
        ),
        click.option(
            "--device",
            metavar="NAME",
            default="auto",
            show_default=True,
            help="auto, cpu, cuda, cuda:1, mps.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["fp32", "bf16"]),
            default="fp32",
            show_default=True,
            help="Precision of training.",
        ),
        click.option(
            "--parallel-victims",
            type=int,
            default=1,
            show_default=True,
            metavar="N",
            help="Victims to train at the same time, each in a process of its own; for a GPU that "
            "one training does not fill.",
        ),
        click.option(
            "--punkt",
            type=click.Choice(["embedded", "nltk"]),
            envvar="ROBENCH_PUNKT",
            show_envvar=True,
            help="Sentence parameters: robench's own, or NLTK's own data (punkt_tab), which must "
            "be installed. Default: embedded.",
        ),
        click.option(
            "--tracker",
            "trackers",
            multiple=True,
            metavar="NAME",
            help="Also send the curves of training and the results of attacks to a tracker that "
            "Accelerate knows, such as tensorboard, wandb, mlflow or trackio. Repeatable.",
        ),
        click.option(
            "--retrain",
            is_flag=True,
            help="Train again, even where a victim with the same configuration exists.",
        ),
        click.option(
            "--wait",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="Most seconds to wait for another run that works on the same part of --out; "
            "0 fails at once. Default: as long as it takes.",
        ),
        click.option(
            "--out",
            type=Folder(),
            default=defaults.OUT,
            show_default=True,
            help="Folder for all results.",
        ),
        own_data_options,
    ]
)

_limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Judge only this many test examples. Such a run never enters a board.",
)
_ids_option = click.option(
    "--ids",
    type=EXISTING_FILE,
    help="Evaluate the examples of a published list instead of the frozen 1000.",
)
_lm_option = click.option(
    "--lm",
    default=defaults.LM,
    show_default=True,
    metavar="SPEC",
    help="Language model of the constraint: masked:ID, causal:ID, file:PATH or none.",
)
trust_option = click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run the Python files in the folder of a given model, a language model or the model of a "
    "substitution set. They run with your rights: read them first. Default: refuse such models.",
)
unknown_option = click.option(
    "--unknown",
    type=click.Choice(["allowed", "forbidden"]),
    default="allowed",
    show_default=True,
    help="Whether a substitute may be a word that the victim reads as its unknown token.",
)
space_options = apply([_limit_option, unknown_option, _ids_option, _lm_option, trust_option])
"""Which examples are judged, and which texts the language model allows."""

evaluation_options = apply(
    [
        _limit_option,
        click.option(
            "--budget",
            type=click.IntRange(min=1),
            metavar="N",
            help="Query budget of an attack for one example. Default: unlimited.",
        ),
        click.option(
            "--example-seconds",
            type=float,
            metavar="SECONDS",
            help="Most seconds of an example's own search; beyond them it is an error, which the "
            "next run tries again. 0: no limit. Default: no limit for built-in attacks, "
            f"{defaults.EXAMPLE_SECONDS:g} for others.",
        ),
        unknown_option,
        click.option(
            "--temperature",
            type=click.Choice(["none", "dev"]),
            default="none",
            show_default=True,
            help="dev: divide the logits of the search by the temperature that fits the dev split "
            "best. No prediction changes.",
        ),
        _ids_option,
        _lm_option,
        trust_option,
        click.option(
            "--search-precision",
            type=click.Choice(["fp32", "bf16"]),
            default="fp32",
            show_default=True,
            help="Precision of the searches. In bf16, doubtful answers are computed again in fp32 "
            "and nothing is certified; verdicts are always fp32.",
        ),
        click.option(
            "--workers",
            type=Workers(min=1),
            metavar="N",
            default="auto",
            show_default=True,
            help="Processes that attack in parallel, with one thread each. auto: one per core "
            "where there is enough work, one on a GPU.",
        ),
        click.option(
            "--share-device/--no-share-device",
            default=None,
            help="Whether several --workers on one GPU share one victim. Default: they share where "
            "the victim has a queue and the attack is a built-in without gradients.",
        ),
    ]
)
