"""The lists of modules whose code makes keys stay complete.

Every module that is imported for the work is on one of the lists, or stands here with its reason.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from robench._base.code_hash import source_sha256
from robench._base.key_code import (
    ATTACKED_TRAINING_CODE,
    SURFACE_CODE,
    TRAINING_CODE,
    TRIAL_CODE,
)
from robench._base.reporting import Silent
from robench.evaluation.cell import cell_key
from robench.evaluation.request import build_request
from robench.evaluation.resolve import resolve_request
from robench.search.registry import ATTACKS
from robench.training.registry import DEFENSES

# Each test starts a process that imports torch.
pytestmark = pytest.mark.slow

DECIDES_NOTHING = {
    "robench._base.errors": "sentences",
    "robench._base.hints": "sentences",
    "robench.plugins.options": "what options come to stands in the keys",
    "robench.protocol": "what a protocol says stands in the keys",
    "robench.tasks.base": "finds examples, whose digest stands in the keys",
    "robench.tasks.example": "holds examples, whose digest stands in the keys",
    "robench.plugins.names": "splits names of plugins",
    "robench.plugins.registry": "finds plugins",
    "robench.tasks.registry": "finds tasks",
    "robench.search.registry": "finds attacks",
    "robench.inspection.health": "finds plugins",
    "robench.tasks.archives": "reads data, whose digest stands in the keys",
    "robench._base.files": "writes files",
    "robench._base.arithmetic": "asks MKL for a setting, which stands in the keys",
    "robench._base.embedded": "finds files, whose digests stand in the keys",
    "robench._base.quiet": "silences libraries",
    "robench._base.environment": "names versions and devices",
    "robench._base.code_hash": "makes the hashes",
    "robench._base.key_code": "lists the modules",
    # A search finds the encoder inside the victim.
    "robench.models.encoders": "loads the encoder, whose hash stands in the victim's key",
}


def imported(*modules: str) -> set[str]:
    """Return robench's modules, without packages, in a process that has imported ``modules``."""
    program = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
for name, module in sys.modules.items():
    if name.startswith("robench.") and not hasattr(module, "__path__"):
        print(name)
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
    assert not_covered(found - attacks, (*TRIAL_CODE, *SURFACE_CODE)) == set()


def test_training_imports_nothing_that_is_in_no_key() -> None:
    defenses = {entry.module for entry in DEFENSES.entries() if entry.origin == "built-in"}
    found = imported("robench.training.loop", *defenses)
    assert {"robench.training.setup", "robench.tasks.frozen"} <= found
    assert not_covered(found - defenses, TRAINING_CODE) == set()


def test_attacking_while_training_imports_nothing_that_is_in_no_key() -> None:
    attacks = {entry.module for entry in ATTACKS.entries() if entry.origin == "built-in"}
    found = imported("robench.training.loop", "robench.search.engine", *attacks)
    assert not_covered(found - attacks, (*TRAINING_CODE, *ATTACKED_TRAINING_CODE)) == set()


def test_a_surface_imports_nothing_that_is_in_no_key() -> None:
    found = imported(*SURFACE_CODE)
    assert not_covered(found, (*SURFACE_CODE, *TRIAL_CODE)) == set()


@pytest.mark.parametrize("module", [*TRIAL_CODE, *SURFACE_CODE, *TRAINING_CODE])
def test_every_module_listed_is_there(module: str) -> None:
    assert len(source_sha256(module)) == 64


# -- what was made before a rewording is used after it ---------------------------------------------

CHECKOUT = Path(__file__).parents[3]
PRINT_KEYS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_code_of_keys import keys_of_an_evaluation
print(*keys_of_an_evaluation())
"""


def keys_of_an_evaluation() -> list[str]:
    """The keys of a victim, a surface and the trials of one attack."""
    request = build_request(defenses=("augmentation",), attacks=("genetic",), device="cpu")
    inputs = resolve_request(request, Silent())
    (task,) = inputs.tasks
    surface, (victim,), (attack,) = inputs.surface_request(task), task.victims, inputs.attacks
    trials = cell_key(request, victim.fit, "0" * 64, attack, surface.ingredients)
    return [victim.fit.key, surface.key, trials]


class Reworded(ast.NodeTransformer):
    """Changes every docstring and takes the annotations of every function away."""

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Expr(ast.Constant("Say it in other words."))
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        return node


def reword(copy: Path) -> None:
    """Reword every file; comments, blank lines and line breaks change as well."""
    for file in copy.rglob("*.py"):
        tree = Reworded().visit(ast.parse(file.read_bytes()))
        file.write_text(ast.unparse(ast.fix_missing_locations(tree)))


def move(copy: Path) -> None:
    """Give two modules other names and one another room."""
    moves = {
        "robench.text.words": "robench.text.cutting",
        "robench.training.selection": "robench.training.epochs.choosing",
        "robench.search.oracle": "robench.search.answers",
    }
    for file in copy.rglob("*.py"):
        text = file.read_text()
        for old, new in moves.items():
            text = text.replace(f"{old} ", f"{new} ").replace(f'{old}"', f'{new}"')
        file.write_text(text)
    (copy / "robench/training/epochs").mkdir()
    (copy / "robench/training/epochs/__init__.py").write_text('"""A room."""\n')
    for old, new in moves.items():
        (copy / f"{old.replace('.', '/')}.py").rename(copy / f"{new.replace('.', '/')}.py")


def change(copy: Path) -> None:
    """Change a statement of each kind of code."""
    for name in ("robench/text/words", "robench/training/setup", "robench/search/judge"):
        file = copy / f"{name}.py"
        file.write_text(f"{file.read_text()}\nCHANGED = True\n")


@pytest.mark.parametrize(
    ("edit", "kept"),
    [(reword, True), (move, True), (change, False)],
    ids=["reworded", "moved", "changed"],
)
def test_a_rewording_and_a_move_keep_victims_surfaces_and_trials(
    tmp_path: Path, edit: Callable[[Path], None], kept: bool
) -> None:
    for room in ("robench", "attacks", "defenses"):
        shutil.copytree(
            CHECKOUT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    edit(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PRINT_KEYS],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    after = done.stdout.split()
    pairs = zip(keys_of_an_evaluation(), after, strict=True)
    assert [before == now for before, now in pairs] == [kept] * 3
