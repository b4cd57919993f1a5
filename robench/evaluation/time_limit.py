"""How long the search of one example may take."""

from __future__ import annotations

from typing import Protocol

from robench._base.errors import UsageError
from robench._base.regular_files import RECORD
from robench.evaluation import defaults


class Limited(Protocol):
    """What a limit depends on: a ``ResolvedAttack``."""

    @property
    def registered(self) -> str:
        """Name in the registry."""
        ...

    @property
    def built_in(self) -> bool:
        """Whether robench itself has the attack."""
        ...


def check_seconds(wanted: float | None) -> None:
    """Refuse what is no time limit.

    Raises:
        UsageError: the limit is negative, not a number, or larger than a record can hold.
    """
    if wanted is not None and not 0 <= wanted <= RECORD.largest:
        raise UsageError(
            f"--example-seconds takes 0 (no limit) or up to {RECORD.largest:.0e} seconds, got "
            f"{wanted:g}."
        )


def time_limit(wanted: float | None, attack: Limited) -> float | None:
    """Return the seconds of its own after which a search is ended; None for no limit.

    Args:
        wanted: what the user says. 0 sets no limit, and None limits only attacks of others.
        attack: the attack.
    """
    if wanted is None:
        return None if attack.built_in else defaults.EXAMPLE_SECONDS
    return wanted or None


def remark_of_limit(wanted: float | None, attack: Limited) -> str | None:
    """Return a sentence about a limit that the user did not set, where there is one."""
    limit = time_limit(wanted, attack)
    if wanted is not None or limit is None:
        return None
    return (
        f"Attack '{attack.registered}' is not a built-in, so an example may take at most "
        f"{limit:g} s (--example-seconds; 0 for no limit)."
    )
