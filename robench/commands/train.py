"""``robench train``: fine-tune victims without attacking them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robench.commands.choices import (
    backend_options,
    defense_option,
    dry_run_option,
    seed_option,
    task_option,
    training_options,
)
from robench.commands.config import ConfiguredCommand
from robench.commands.running import run_or_plan, run_with_progress
from robench.commands.saying import say_data
from robench.commands.shell import Session, global_flags, session_of

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest


@click.command(
    "train",
    cls=ConfiguredCommand,
    short_help="Fine-tune victims without attacking them.",
)
@defense_option
@task_option
@seed_option("training")
@training_options
@backend_options
@dry_run_option
@global_flags
@click.pass_context
def command(ctx: click.Context, /, dry_run: bool, measure: bool, **values: Any) -> None:
    """Fine-tune with every named defense and keep the victims for 'robench evaluate'.

    \b
    robench train --defense standard --defense rift
    """
    run_or_plan(session_of(ctx), values, dry_run, measure, run)


def run(request: EvaluationRequest, session: Session) -> None:
    """Train, and print the folders of the victims, even where some failed."""
    from robench.evaluation.run import train_only
    from robench.training.runtime import is_main_process

    def print_results(folders: Sequence[Path]) -> None:
        for folder in folders if is_main_process() else ():
            say_data(str(folder), nl=True)

    run_with_progress(
        session,
        partial(train_only, request),
        print_results,
        lambda folders: {"victims": list(folders)},
    )
