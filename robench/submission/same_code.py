"""Whether this robench has the code that made the records of a board."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from robench._base.code_hash import code_sha256, source_sha256
from robench._base.errors import UsageError
from robench._base.key_code import SURFACE_CODE, TRAINING_CODE, TRIAL_CODE
from robench._base.release import __version__
from robench.plugins.registry import Registry
from robench.records.record import Record
from robench.search.registry import ATTACKS
from robench.tasks.registry import TASKS
from robench.text.surface_rules import surface_rules
from robench.text.words import splitter_version
from robench.training.registry import DEFENSES

MOST_WORDS = 4096
"""Largest window, in words, of the surfaces that are compared."""


def differences(records: Iterable[Record]) -> list[str]:
    """Return what this robench has other than the one that made some records of one table.

    The files of the encoder, the data and the language model are not compared.
    """
    found: dict[str, None] = {}
    for record in records:
        found.update(dict.fromkeys(_of_record(record)))
    return list(found)


def other_defenses(records: Iterable[Record]) -> list[str]:
    """Return the names of the records' defenses whose code is another one here, or not at all."""
    known = {record.defense.name: record.defense for record in records if record.defense}
    return [name for name, each in known.items() if each.code_sha256 != _code_here(DEFENSES, name)]


def _of_record(record: Record) -> Iterable[str]:
    made = record.software.robench
    if made != __version__:
        yield f"its version ({made} made them, this is {__version__})"
    if record.search.code_sha256 != source_sha256(*TRIAL_CODE):
        yield "the code of the search"
    trained = record.victim.kind == "trained"
    if trained and record.victim.training_code_sha256 != source_sha256(*TRAINING_CODE):
        yield "the code of training"
    attack = record.attack.name.partition("@")[0]
    code = _code_here(ATTACKS, attack)
    if code is None:
        yield f"the attack '{attack}', which is not installed"
    elif record.attack.code_sha256 != code:
        yield f"the code of the attack '{attack}'"
    splitter, surface = splitter_version(), record.surface
    if surface.splitter is not None and surface.splitter != splitter:
        yield f"the splitter of words ({surface.splitter} made them, this is {splitter})"
    elif surface.rules is not None and not surface.outside and not _same_surface(record):
        yield "the code of surfaces"


def _same_surface(record: Record) -> bool:
    """Return whether the code here makes the surface of a record.

    A record holds a hash of the surface's rules, and all of them but the size of the window. What
    may be replaced in the user's own file is not known here, so such a record is not compared.
    """
    # The surface belongs to the texts that are judged, which may come from another task.
    name = record.task.other_test or record.task.name
    return name not in TASKS.names() or record.surface.rules in _rules(
        name, record.surface.substitutions_sha256, splitter_version()
    )


@cache
def _rules(task: str, substitutions: str | None, splitter: str) -> frozenset[str]:
    """Return the hashes of the rules that the code here gives, for every size of the window."""
    known = {
        "code": source_sha256(*SURFACE_CODE),
        "task": task,
        "attackable": TASKS.get(task).attackable,
        "substitutions": substitutions,
        "splitter": splitter,
    }
    return frozenset(surface_rules(known | {"max_words": most}) for most in range(MOST_WORDS + 1))


@cache
def _code_here(registry: Registry[Any], name: str) -> str | None:
    """Return the hash of a plugin's code, or None where it is not installed."""
    try:
        return code_sha256(registry.get(name))
    except UsageError:
        return None
