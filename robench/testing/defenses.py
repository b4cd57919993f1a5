"""``check_defense``: the checks that every defense must pass, whatever its method.

Encoders and texts are synthetic and tiny, so no figure made here means anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import UnionType
from typing import Any, Union, get_args, get_origin

import torch

from robench._base.errors import UsageError
from robench.plugins.options import TrainingOptions, build_options
from robench.tasks.registry import TASKS
from robench.testing.defense_subject import DefenseSubject
from robench.testing.step_checks import (
    check_batches,
    check_families,
    check_gradients,
    check_loss,
    check_odd_texts,
    check_optimizer,
    check_reduced_precision,
    check_saved,
    check_shares,
)
from robench.testing.training_checks import (
    check_dev,
    check_learning,
    check_pairs,
    check_repeated,
    check_resumed,
    check_test,
)
from robench.training.defense import Defense

UNKNOWN_OPTION = "no_option_of_any_defense"


def check_defense(
    defense: str | type[Defense], *, options: Mapping[str, Any] | None = None
) -> None:
    """Run every check on a defense, which takes seconds.

    Args:
        defense: its registered name, or the registered class.
        options: options of the defense or of the training loop, by name. They override the kit's
            own settings, for a defense that is off by default or learns slowly.

    Raises:
        AssertionError: a check failed; the sentence says what the defense did.
        UsageError: the defense is not registered.
    """
    subject = DefenseSubject.of(defense, options=options)
    with _one_thread():
        for check in DEFENSE_CHECKS.values():
            check(subject)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread.

    Models as small as these are slower on several threads, and many times slower if other programs
    use the cores as well.
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def check_description(subject: DefenseSubject) -> None:
    """Check that the defense says what it is and where it comes from.

    Its ``task_defaults`` must name known tasks and options of its own.
    """
    cls = subject.cls
    subject.require(len(cls.paper) > 20, "'paper' is no citation; a baseline says 'none: …'")
    subject.require(bool(cls.__doc__), "it has no docstring")
    subject.require(
        all(deviation.endswith(".") for deviation in cls.deviations),
        "each of its deviations must be a sentence",
    )
    for task, values in cls.task_defaults.items():
        subject.require(
            task in TASKS.names(),
            f"task_defaults names '{task}', and there is no such task: {', '.join(TASKS.names())}",
        )
        try:
            build_options(cls.Options, values, f"task_defaults['{task}']")
        except UsageError as error:
            subject.require(False, str(error))


def check_options(subject: DefenseSubject) -> None:
    """Check the options.

    Each option has a description and each number a range. The defaults are valid. A wrong value is
    refused in one sentence that names the option.
    """
    declared = subject.cls.Options
    subject.require(
        issubclass(declared, TrainingOptions),
        "its Options do not derive from robench.TrainingOptions (or Defense.Options)",
    )
    with subject.on("its defaults"):
        declared()
    for name, option in declared.model_fields.items():
        subject.require(bool(option.description), f"option '{name}' has no description")
        kinds = (
            get_args(option.annotation)
            if get_origin(option.annotation) in (Union, UnionType)
            else (option.annotation,)
        )
        if int in kinds or float in kinds:
            bounds = [
                (side, getattr(rule, side))
                for rule in option.metadata
                for side in ("ge", "gt", "le", "lt")
                if hasattr(rule, side)
            ]
            subject.require(
                bool(bounds), f"option '{name}' is a number without a range: Field(…, ge=0), say"
            )
            for value in _wrong_values(bounds):
                _check_refused(subject, name, value)
    _check_refused(subject, UNKNOWN_OPTION, 1)


def _wrong_values(bounds: list[tuple[str, float]]) -> Iterator[Any]:
    """Yield values outside ``bounds``, and some that are no numbers."""
    for side, bound in bounds:
        yield {"ge": bound - 1, "gt": bound, "le": bound + 1, "lt": bound}[side]
    yield from ("many", float("nan"))


def _check_refused(subject: DefenseSubject, option: str, value: Any) -> None:
    try:
        build_options(subject.cls.Options, {option: value}, f"defense '{subject.name}'")
    except UsageError as error:
        said = str(error)
        subject.require(
            f"'{option}'" in said and "\n" not in said,
            f"option '{option}' does not refuse {value!r} in one sentence that names it: {said!r}",
        )
    except Exception as error:
        subject.require(
            False,
            f"option '{option}' breaks at {value!r} ({type(error).__name__}: {error}):"
            " let it raise ValueError",
        )
    else:
        subject.require(False, f"option '{option}' takes {value!r}")


DEFENSE_CHECKS: dict[str, Callable[[DefenseSubject], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_description,
        check_options,
        check_loss,
        check_gradients,
        check_reduced_precision,
        check_odd_texts,
        check_families,
        check_batches,
        check_optimizer,
        check_shares,
        check_saved,
        check_learning,
        check_test,
        check_repeated,
        check_resumed,
        check_dev,
        check_pairs,
    )
}
"""Every check by its name, the quick ones first."""
