"""The seal of a record file: it finds a file that was damaged or edited after it was written.

Whoever edits a file with care can make a new seal. ``robench verify`` asks the victim instead.
"""

from __future__ import annotations

from typing import Any

from robench._base.errors import RobenchError
from robench._base.seals import SEAL, SealBroken, without_seal
from robench.records.record import SCHEMA

FIRST_SEALED_SCHEMA = 6
"""The first version of the format whose files have a seal."""
_REMEDY = "Restore it, or delete it and evaluate that cell again."


def checked_seal(raw: Any) -> Any:
    """Return a record as parsed from JSON without its seal, after checking it.

    Anything else than a record of a known schema with seals is returned as it is.

    Raises:
        RobenchError: there is no seal, or it does not fit.
    """
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, int) or not FIRST_SEALED_SCHEMA <= schema <= SCHEMA:
        return raw
    if SEAL not in raw:
        raise RobenchError(f"it has no '{SEAL}', so it was edited or is not whole. {_REMEDY}")
    try:
        return without_seal(raw)
    except SealBroken as error:
        raise RobenchError(
            f"its '{SEAL}' does not fit, so it was damaged or edited after it was written. "
            f"{_REMEDY}"
        ) from error
