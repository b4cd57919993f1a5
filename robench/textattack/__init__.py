"""robench's surface, language-model constraint and searches as parts of TextAttack.

See ``docs/textattack.md``. Each name is imported on first use: TextAttack's import takes seconds,
and robench works without TextAttack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench._base.lazy import import_public

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

_MODULE_OF = {
    "GeneticJia2019": "robench.textattack.recipes",
    "PWWSRen2019": "robench.textattack.recipes",
    "SurfaceConstraint": "robench.textattack.parts",
    "SurfaceSearch": "robench.textattack.search",
    "SurfaceSwap": "robench.textattack.parts",
    "TextSurface": "robench.textattack.texts",
    "VictimWrapper": "robench.textattack.wrapper",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    """Import TextAttack and then a public name on its first use (PEP 562)."""
    if name in _MODULE_OF:
        from robench.methods.textattack.installed import require_textattack

        require_textattack()
    return import_public(__name__, name, _MODULE_OF)
