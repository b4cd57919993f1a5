"""Import a package's public names on their first use (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def import_public(package: str, name: str, module_of: Mapping[str, str]) -> Any:
    """Return the public name ``name`` of ``package`` from the module that defines it.

    Args:
        package: the package whose ``__getattr__`` asks.
        module_of: public name -> the module that defines it.

    Raises:
        AttributeError: ``module_of`` has no such name.
    """
    if name not in module_of:
        raise AttributeError(f"module '{package}' has no attribute {name!r}")
    return getattr(importlib.import_module(module_of[name]), name)
