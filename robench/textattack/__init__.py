"""robench's surface, language-model constraint and searches as parts of TextAttack (``docs/textattack.md``).

Nothing here is imported before it is asked for: TextAttack takes seconds, and robench does without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.textattack.parts import SurfaceConstraint, SurfaceSwap
    from robench.textattack.recipes import GeneticJia2019, PWWSRen2019
    from robench.textattack.search import SurfaceSearch
    from robench.textattack.texts import TextSurface
    from robench.textattack.wrapper import VictimWrapper

__all__ = [
    "GeneticJia2019",
    "PWWSRen2019",
    "SurfaceConstraint",
    "SurfaceSearch",
    "SurfaceSwap",
    "TextSurface",
    "VictimWrapper",
]

_HOMES = {
    "GeneticJia2019": "recipes",
    "PWWSRen2019": "recipes",
    "SurfaceConstraint": "parts",
    "SurfaceSearch": "search",
    "SurfaceSwap": "parts",
    "TextSurface": "texts",
    "VictimWrapper": "wrapper",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'robench.textattack' has no attribute {name!r}")
    from robench.methods.textattack.installed import require_textattack

    require_textattack()
    return getattr(importlib.import_module(f"robench.textattack.{_HOMES[name]}"), name)
