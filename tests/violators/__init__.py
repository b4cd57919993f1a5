"""Defenses that break one promise of ``robench.testing.check_defense`` each, on purpose.

Importing this package registers all of them.
"""

from violators import descriptions, hooks, steps, texts, trainings
from violators.base import VIOLATORS, Sound

__all__ = ["VIOLATORS", "Sound", "descriptions", "hooks", "steps", "texts", "trainings"]
