"""The lists of modules whose code stands in keys cannot go stale: whatever is imported for the work is on one of them, or stands here with its reason."""

from __future__ import annotations

import subprocess
import sys

import pytest

from robench._base.code_hash import source_sha256
from robench.evaluation.cell import SEARCH_CODE
from robench.plugins.registry import ATTACKS, DEFENSES
from robench.text.surface_building import SURFACE_CODE
from robench.training.request import SEARCH_CODE as ATTACKING_CODE
from robench.training.request import TRAINING_CODE

DECIDES_NOTHING = {
    "robench._base.errors": "sentences",
    "robench._base.hints": "sentences",
    "robench.plugins.options": "what options come to stands in the keys",
    "robench.protocol": "what a protocol says stands in the keys",
    "robench.tasks.base": "holds examples, whose digest stands in the keys",
    "robench.plugins.registry": "finds plugins",
    "robench.inspection.health": "finds plugins",
    "robench.tasks.archives": "reads data, whose digest stands in the keys",
    "robench._base.files": "writes files",
    "robench._base.environment": "names versions and devices",
    "robench._base.code_hash": "makes the hashes",
    "robench.models.encoders": "loads the encoder, whose hash stands in the victim's key; a search finds it inside the victim",
}


def imported(*modules: str) -> set[str]:
    """robench's modules (packages that hold no code left out) in a process that has imported ``modules``."""
    program = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
print(*(name for name, module in sys.modules.items() if name.startswith("robench.") and not hasattr(module, "__path__")))
"""
    return set(
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        ).stdout.split()
    )


def not_covered(found: set[str], code: tuple[str, ...]) -> set[str]:
    return {
        name
        for name in found
        if not any(name == listed or name.startswith(f"{listed}.") for listed in code)
    } - set(DECIDES_NOTHING)


def test_the_search_imports_nothing_that_is_in_no_key() -> None:
    attacks = {entry.module for entry in ATTACKS.entries() if entry.origin == "built-in"}
    found = imported(
        "robench.search.engine",
        "robench.search.jobs",
        "robench.search.workers",
        "robench.models.victim",
        *attacks,
    )
    assert {"robench.search.oracle", "robench.text.encoding"} <= found
    assert not_covered(found - attacks, (*SEARCH_CODE, *SURFACE_CODE)) == set()


def test_training_imports_nothing_that_is_in_no_key() -> None:
    defenses = {entry.module for entry in DEFENSES.entries() if entry.origin == "built-in"}
    found = imported("robench.training.loop", *defenses)
    assert {"robench.training.setup", "robench.tasks.frozen"} <= found
    assert not_covered(found - defenses, TRAINING_CODE) == set()


def test_attacking_while_training_imports_nothing_that_is_in_no_key() -> None:
    attacks = {entry.module for entry in ATTACKS.entries() if entry.origin == "built-in"}
    found = imported("robench.training.loop", "robench.search.engine", *attacks)
    assert not_covered(found - attacks, (*TRAINING_CODE, ATTACKING_CODE)) == set()


def test_a_surface_imports_nothing_that_is_in_no_key() -> None:
    found = imported(*SURFACE_CODE)
    assert not_covered(found, (*SURFACE_CODE, *SEARCH_CODE)) == set()


@pytest.mark.parametrize("module", [*SEARCH_CODE, *SURFACE_CODE, *TRAINING_CODE])
def test_every_module_listed_is_there(module: str) -> None:
    assert len(source_sha256(module)) == 64
