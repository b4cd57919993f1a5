"""A package of attacks and defenses that try to end the process, for tests of the command line."""

from __future__ import annotations

from pathlib import Path

from guests import install_guest

ENDS = {
    "system-exit": "raise SystemExit(0)",
    "sys-exit": "import sys; sys.exit(0)",
    "os-exit": "import os; os._exit(0)",
    "os-abort": "import os; os.abort()",
    "c-exit": "import ctypes; ctypes.CDLL(None)._exit(0)",
    "loop": "while True: pass",
}
"""Name -> code that tries to end the process, or that never ends."""

ATTACK = '''"""Ends in the search."""
from robench import ATTACKS, Attack

@ATTACKS.register("{name}")
class Ending(Attack):
    """Holds, except for texts with an e in the second word."""

    def search(self, space, oracle, label, rng):
        oracle.logits(space.original()[None])
        if len(space.words) > 1 and "e" in space.words[1]:
            {code}
'''
DEFENSE = '''"""Ends in the training."""
from robench import DEFENSES, Defense

@DEFENSES.register("{name}")
class Ending(Defense):
    """Ends in the first step."""

    def loss(self, model, batch):
        {code}
'''
IMPORTED = '''"""Ends in the import."""
{code}
'''
INIT = '''"""Ends when it is made."""
from robench import ATTACKS, Attack

@ATTACKS.register("{name}")
class Ending(Attack):
    """Ends when it is made."""

    def __init__(self, options=None):
        {code}

    def search(self, space, oracle, label, rng):
        return None
'''
KINDS = {
    "search": ("robench.attacks", ATTACK),
    "made": ("robench.attacks", INIT),
    "imported": ("robench.attacks", IMPORTED),
    "training": ("robench.defenses", DEFENSE),
}


def install_ending_guests(folder: Path) -> Path:
    """Install the package; its plugins are called ``search-os-exit`` and so on."""
    points: dict[str, dict[str, str]] = {"robench.attacks": {}, "robench.defenses": {}}
    modules = {}
    for kind, (group, source) in KINDS.items():
        for end, code in ENDS.items():
            name = f"{kind}-{end}"
            module = f"ending_{name.replace('-', '_')}"
            points[group][name] = module
            modules[module] = source.format(name=name, code=code)
    return install_guest(folder, "ending-guests", points, modules)
