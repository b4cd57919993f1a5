"""The hash of what decides a surface apart from its examples, protocol and language model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_NOT_RULES = ("digest", "texts", "lookup", "radius", "scorer")
"""Ingredients of a surface that are no rules: examples, protocol and language model."""


def surface_rules(made_from: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of ``SurfacePart.rules``.

    Two lists of examples of one test set have equal rules. The protocol and the language model are
    left out, because records hold them in fields of their own.

    Args:
        made_from: everything that decides the surface (``Surface.meta["made_from"]``).
    """
    rules = {name: value for name, value in made_from.items() if name not in _NOT_RULES}
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
