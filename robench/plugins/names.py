"""The signs in names: ``one+other`` for a joint name, ``PREFIX:NAME`` for a member of a family."""

from __future__ import annotations

JOINT = "+"
"""Joins the names of plugins that are used together, where their kind allows it."""

FAMILY = ":"
"""Separates the prefix of a family from the name of a member, where a kind has families."""


def members_of(name: str) -> tuple[str, ...]:
    """Split a joint name into the names of its members; a plain name is its only member."""
    return tuple(name.split(JOINT))


def canonical(name: str) -> str:
    """Put the members of a joint name in alphabetical order, so that it has one spelling.

    A plain or malformed name is returned unchanged.
    """
    return JOINT.join(sorted(members_of(name))) if all(members_of(name)) else name
