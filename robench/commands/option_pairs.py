"""Options that are pairs: ``--option KIND.NAME=VALUE`` and ``--label-map MODEL=TASK``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robench._base.errors import UsageError


def parse_label_map(pairs: Iterable[str]) -> Mapping[str, str]:
    """Split ``("POSITIVE=positive",)`` into ``{"POSITIVE": "positive"}``.

    Raises:
        UsageError: a pair is not of the form MODEL=TASK, or a label has two meanings.
    """
    parsed: dict[str, str] = {}
    for pair in pairs:
        theirs, equals, ours = (part.strip() for part in pair.partition("="))
        if not (equals and theirs and ours):
            raise UsageError(
                f"--label-map {pair!r} is not of the form MODEL=TASK, such as POSITIVE=positive."
            )
        if parsed.setdefault(theirs, ours) != ours:
            raise UsageError(
                f"--label-map gives '{theirs}' two meanings, '{parsed[theirs]}' and '{ours}'. "
                "Give it once."
            )
    return parsed


def parse_options(pairs: Iterable[str]) -> Mapping[str, str]:
    """Split ``("defense.alpha=0.3",)`` into ``{"defense.alpha": "0.3"}``.

    Raises:
        UsageError: a pair is not of the form KIND.NAME=VALUE, or an option has two values.
    """
    parsed: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        owner, dot, name = key.strip().partition(".")
        if not (equals and dot and owner and name):
            raise UsageError(
                f"--option {pair!r} is not of the form KIND.NAME=VALUE, "
                "such as defense.alpha=0.3 or attack.population=20."
            )
        key, value = key.strip(), value.strip()
        if parsed.setdefault(key, value) != value:
            raise UsageError(
                f"--option {key} is given twice, as {parsed[key]!r} and as {value!r}. Give it once."
            )
    return parsed
