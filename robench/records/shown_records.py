"""Records with short texts, for pages and tables: a name of ten megabytes stays one line.

Tables are padded to their widest cell, and a name stands in many sentences. So one long name would
make a page of any size. The records on disk stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from robench._base.escaping import NAME
from robench.protocol import Protocol
from robench.records.record import Record

NOTE: Final = 1_000
"""Characters of any text of a record that is no name: a finding, a device, a reason."""
ENTRIES: Final = 100
"""Entries of a list of texts, such as the findings."""
NAMES: Final = frozenset(
    {"name", "label", "test_name", "other_test", "train_pool", "source", "architecture"}
)
"""Fields that hold a name. They have at most ``escaping.NAME`` characters."""
WHOLE: Final = frozenset({"outcomes", "letters", "options"})
"""Fields that are read and never shown as text."""

NOTE_ON_LENGTH: Final = 60
"""Characters that may follow a text that was cut: a text that was cut once stays as it is."""

PLAIN: Final = frozenset({int, float, bool, type(None)})
"""Types of values that are no text."""

Part = TypeVar("Part", bound=BaseModel)


def shown_records(records: Mapping[str, Record]) -> dict[str, Record]:
    """Return the records with texts that are short enough for a page.

    A text that is cut ends in ``…`` and the beginning of its hash, so that two long names stay two
    names. A record whose texts are short is returned as it is.

    Args:
        records: file name -> record.
    """
    return {name: shown_part(record) for name, record in records.items()}


def short_name(name: str) -> str:
    """Return a name as ``shown_records`` shows it."""
    return _short(name, NAME)


def shown_part(part: Part) -> Part:
    """Return a record, a certificate or a part of them with texts short enough for a page."""
    changed = {}
    for name, value in vars(part).items():
        # Most texts are short, and this looks at every text of every record.
        if type(value) in PLAIN or (type(value) is str and len(value) <= NAME):
            continue
        if name not in WHOLE:
            shown = _value(value, NAME if name in NAMES else NOTE)
            if shown is not value:
                changed[name] = shown
    return part.model_copy(update=changed) if changed else part


def _value(value: Any, limit: int) -> Any:
    """Return a value that is short enough; the same object where it was."""
    if isinstance(value, str):
        return _short(value, limit)
    if isinstance(value, BaseModel):
        return shown_part(value)
    if isinstance(value, Protocol):
        return _protocol(value)
    if isinstance(value, dict):
        items = list(value.items())[:ENTRIES]
        shown = {_value(key, limit): _value(each, limit) for key, each in items}
        return value if shown == value else shown
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        texts = tuple(_short(each, limit) for each in value[:ENTRIES])
        if len(value) > ENTRIES:
            texts += (f"… and {len(value) - ENTRIES:,} more",)
        return value if texts == value else texts
    return value


def _protocol(protocol: Protocol) -> Protocol:
    name, summary = _short(protocol.name, NAME), _short(protocol.summary, NOTE)
    if (name, summary) == (protocol.name, protocol.summary):
        return protocol
    return replace(protocol, name=name, summary=summary)


def _short(text: str, limit: int) -> str:
    if len(text) <= limit + NOTE_ON_LENGTH:
        return text
    sha256 = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[:limit]}… ({len(text):,} characters, {sha256[:8]})"
