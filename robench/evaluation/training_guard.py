"""Keep a defense, while it is trained, from ending or changing the rest of the run.

A training is code of a plugin almost everywhere. Its error says nothing about the other victims,
and they must not train on texts that it changed. It cannot learn from test examples either.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError
from robench._base.escaping import one_line
from robench._base.files import causes, is_disk_full
from robench._base.signals import raise_if_signalled, watching_signals
from robench.evaluation.process_guard import same_process
from robench.search.core_code import CoreCode
from robench.search.problems import describe_error

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.tasks.example import Example
    from robench.training.request import FitRequest


CORE = (
    "robench._base.",
    "robench.evaluation.",
    "robench.models.",
    "robench.records.",
    "robench.search.",
    "robench.tasks.",
    "robench.text.",
    "robench.training.",
)
"""Modules whose code the other victims of the run need as it is."""


@contextmanager
def training_alone(title: str, report: Reporter) -> Iterator[None]:
    """Train a victim in the block so that it costs no other victim anything.

    Args:
        title: the victim, for the messages.
        report: receives a message about what was set back.

    Raises:
        RobenchError: the training failed.
    """
    what = f"The training of {title}"
    with (
        same_process(f"the training of {title}", report),
        same_core(what, report),
        one_failure(what),
    ):
        yield


@contextmanager
def same_core(what: str, report: Reporter) -> Iterator[None]:
    """Put back what the block replaced of robench's code, and say it.

    Args:
        what: what the block does, for the message.
        report: receives the message.
    """
    code = CoreCode(modules=CORE)
    try:
        yield
    finally:
        replaced = code.restored()
        if replaced:
            report.message(
                f"{what} replaced code of robench or NumPy, first "
                f"'{one_line(replaced[0], 100)}'. It is put back, because it would change every "
                "result that comes after."
            )


@contextmanager
def one_failure(what: str) -> Iterator[None]:
    """Raise a RobenchError for every error of the block that the user did not wish.

    A RobenchError, a full disk, used-up memory and missing rights have sentences of their own, and
    leave the block as they are. So does what a signal raised, such as Ctrl-C.

    Args:
        what: what the block does, for the sentence.
    """
    with watching_signals():
        try:
            yield
        except (RobenchError, SystemExit):
            raise_if_signalled()
            raise
        except BaseException as error:
            # A plugin may have swallowed Ctrl-C and raised something else.
            raise_if_signalled()
            if _has_a_sentence(error):
                raise
            reason = f"{describe_error(error).rstrip('.')}{_place(error)}"
            raise RobenchError(
                f"{what} broke: {reason}. "
                "This is an error in the code of the defense or of a library, and it may be one in "
                "robench. Run this defense alone with --debug for the traceback."
            ) from error


def with_own_data(fit: FitRequest) -> FitRequest:
    """Return the same training on copies of its examples, and without the test examples.

    A defense gets the request with the trainee. The key stays the same: test examples are no part
    of it, and the digests of the others are those of the originals.
    """
    splits = fit.splits
    own = replace(splits, train=_copies(splits.train), dev=_copies(splits.dev), test=())
    # Half a million examples take seconds, and the copies are the same.
    vars(own)["training_digests"] = splits.training_digests
    return replace(fit, splits=own)


def _copies(examples: Sequence[Example]) -> list[Example]:
    return [replace(each, fields=dict(each.fields)) for each in examples]


def _has_a_sentence(error: BaseException) -> bool:
    """Return whether the command line explains an error already."""
    chain = list(causes(error))
    kinds = {type(each).__name__ for each in chain}
    known = any(isinstance(each, MemoryError) or is_disk_full(each) for each in chain)
    return known or "OutOfMemoryError" in kinds or isinstance(error, PermissionError)


def _place(error: BaseException) -> str:
    """Return the last place of the traceback in the code of a method, if there is one."""
    frames = traceback.extract_tb(error.__traceback__, limit=-50)
    own = [each for each in frames if not _is_library(each.filename)]
    return "".join(f" ({Path(each.filename).name}, line {each.lineno})" for each in own[-1:])


def _is_library(filename: str) -> bool:
    """Return whether a file is part of Python, of a library, or of robench's core."""
    parts, core = Path(filename).parts, Path(__file__).parents[1]
    if filename.startswith(str(core)):
        return not filename.startswith(str(core / "methods"))
    libraries = (sysconfig.get_path("stdlib"), "<")
    return "site-packages" in parts or filename.startswith(libraries)
