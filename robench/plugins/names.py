"""The signs in names: ``one+other``, a joint name; ``PREFIX:NAME``, of a family; ``NAME@SET``."""

from __future__ import annotations

JOINT = "+"
"""Joins the names of plugins that are used together, where their kind allows it."""

FAMILY = ":"
"""Separates the prefix of a family from the name of a member, where a kind has families."""

ON = "@"
"""Separates the name of an attack from the substitution set that it searches: ``pwws@wordnet``."""


def split_on(name: str) -> tuple[str, str]:
    """Split ``"pwws@wordnet"`` into the attack and its substitution set, which may be empty."""
    plugin, _, wanted = name.partition(ON)
    return plugin, wanted


def members_of(name: str) -> tuple[str, ...]:
    """Split a joint name into the names of its members; a plain name is its only member."""
    return tuple(name.split(JOINT))


def canonical(name: str) -> str:
    """Put the members of a joint name in alphabetical order, so that it has one spelling.

    A plain or malformed name is returned unchanged.
    """
    return JOINT.join(sorted(members_of(name))) if all(members_of(name)) else name
