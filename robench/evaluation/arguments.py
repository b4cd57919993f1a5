"""Check arguments of the Python interface that the command line cannot get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError


def texts_of(argument: str, value: Any) -> tuple[str, ...]:
    """Return one or several names as a tuple of texts.

    Args:
        argument: name of the argument, for the message.
        value: a name or a path, or several of them in a list, a tuple or another collection.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(value, str | Path):
        return (str(value),)
    # A table or an array can be iterated as well, and would give its columns.
    plain = isinstance(value, Sequence | set | frozenset | dict) and not isinstance(value, bytes)
    if not plain or not all(isinstance(each, str | Path) for each in value):
        table = " Save a table as a csv file, and name that." if argument == "task" else ""
        raise UsageError(
            f"'{argument}' is {_described(value)}. Give a name, or a list of names.{table}"
        )
    return tuple(map(str, value))


def labels_of_function(labels: Any) -> tuple[str, ...]:
    """Return the names of a function's classes.

    Raises:
        UsageError: there are none, or they are no list of texts.
    """
    if labels is None:
        raise UsageError(
            "A function needs 'labels': the names of its classes, in the order of its "
            'probabilities, such as labels=["negative", "positive"].'
        )
    several = isinstance(labels, Sequence) and not isinstance(labels, str | bytes)
    if not several or not all(isinstance(each, str) for each in labels):
        raise UsageError(
            f"'labels' is {_described(labels)}. Give a list with the name of each class, such as "
            '["negative", "positive"].'
        )
    return tuple(labels)


def name_of_function(function: Any) -> str:
    """Return the name of a function, or of the class of another object that can be called."""
    return str(getattr(function, "__name__", type(function).__name__))


def _described(value: Any) -> str:
    """Return what a value is, in a few words: "None", "a list with int"."""
    if value is None:
        return "None"
    if isinstance(value, list | tuple):
        kinds = sorted({type(each).__name__ for each in value})
        return f"a {type(value).__name__} with {', '.join(kinds)}"
    return f"of the type {type(value).__name__}"
