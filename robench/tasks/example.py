"""Example: one labelled text, the unit that all parts of robench exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text (or pair).

    Attributes:
        id: ``"<task>/<hash>"``, where the hash is the first 16 hex digits of the SHA-256 of task
            and raw fields; plus ``"-<n>"`` for the n-th repetition of the same fields.
        fields: name -> cleaned text, in the order in which the encoder reads them, such as
            ``{"premise": …, "hypothesis": …}``.
        label: index into the task's ``labels``.
    """

    id: str
    fields: Mapping[str, str]
    label: int
