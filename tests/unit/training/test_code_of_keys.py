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
from robench._base.code_meaning import meaning
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
    "robench._base.escaping": "sentences",
    "robench._base.hints": "sentences",
    "robench.plugins.options": "what options come to stands in the keys",
    "robench.protocol": "what a protocol says stands in the keys",
    "robench.tasks.base": "finds examples, whose digest stands in the keys",
    "robench.tasks.example": "holds examples, whose digest stands in the keys",
    "robench.plugins.family": "finds plugins",
    "robench.plugins.names": "splits names of plugins",
    "robench.plugins.registry": "finds plugins",
    "robench.tasks.registry": "finds tasks",
    "robench.search.registry": "finds attacks",
    "robench.inspection.health": "finds plugins",
    "robench.tasks.archives": "reads data, whose digest stands in the keys",
    "robench.tasks.archive_bounds": "reads data, whose digest stands in the keys",
    "robench.tasks.archive_copies": "reads data, whose digest stands in the keys",
    "robench.tasks.assets": "finds substitution sets, whose hashes stand in the keys",
    "robench.tasks.publisher_files": "finds substitution sets, whose hashes stand in the keys",
    "robench._base.ending": "ends the process",
    "robench._base.signals": "remembers that a signal came",
    "robench._base.files": "writes files",
    "robench._base.import_path": "keeps the current folder out of what is imported",
    "robench._base.line_file": "writes files",
    "robench._base.foreign_code": "refuses models whose code would run",
    "robench._base.bounded_reading": "reads files, whose hashes stand in the keys",
    "robench._base.strict_documents": "reads files, whose hashes stand in the keys",
    "robench._base.regular_files": "opens files, whose hashes stand in the keys",
    "robench._base.seals": "checks files",
    "robench._base.waiting": "locks files",
    "robench._base.child": "starts processes",
    "robench._base.fork_server": "starts processes",
    "robench._base.forked_process": "starts processes",
    "robench._base.server_process": "starts processes",
    "robench._base.process_end": "ends processes",
    "robench._base.last_words": "says why a process ended",
    "robench._base.torch_settings": "compares settings, and sets back what a plugin changed",
    "robench._base.no_exit": "turns the end of a process into an error",
    "robench._base.embedded": "finds files, whose digests stand in the keys",
    "robench.models.fetched_encoders": "names encoders, whose hashes and options are in the keys",
    "robench._base.quiet": "silences libraries",
    "robench._base.lean_imports": "imports transformers without parts that nothing here uses",
    "robench._base.lazy": "finds names",
    "robench._base.release": "names the version",
    "robench.models.victim_folder": "lays out files, whose hashes stand in the keys",
    "robench.models.card_form": "checks cards, whose hashes stand in the keys",
    "robench.models.training_log": "reads the log, which decides no answer",
    "robench.models.saved_folder": "loads the victim, whose identity stands in the keys",
    "robench._base.environment": "names versions and devices",
    "robench._base.code_hash": "makes the hashes",
    "robench._base.code_meaning": "makes the hashes",
    "robench._base.key_code": "lists the modules",
    # Packages with code of their own.
    "robench": "finds names, which the hash of a plugin follows; its settings stand in the keys",
    "robench.tasks": "finds names",
    "robench.methods": "finds names, which the hash of a plugin follows",
    "robench.attacks": "refuses a second name for the attacks",
    "robench.defenses": "refuses a second name for the defenses",
    # A search finds the encoder inside the victim.
    "robench.models.encoders": "loads the encoder, whose hash stands in the victim's key",
}


def imported(*modules: str) -> set[str]:
    """Return robench's modules with code, in a process that has imported ``modules``."""
    program = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
for name, module in sys.modules.items():
    if name.partition(".")[0] == "robench":
        print(name, module.__file__, sep="\\t")
"""
    lines = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    found = dict(line.split("\t") for line in lines)
    # Most packages hold only a docstring.
    return {name for name, file in found.items() if meaning(Path(file).read_bytes())}


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


def test_the_code_of_a_package_itself_is_looked_at() -> None:
    assert {"robench", "robench.methods"} <= imported("robench.methods")


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
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_code_of_keys import keys_of_an_evaluation, source_sha256
print(*keys_of_an_evaluation())
for file in map(Path, sys.argv[1:]):
    source = file.read_bytes()
    file.write_bytes(source + b"\\nCHANGED = True\\n")
    source_sha256.cache_clear()
    print(*keys_of_an_evaluation())
    file.write_bytes(source)
"""
KEYS = ("victim", "attacking victim", "surface", "trials")


def keys_of_an_evaluation() -> list[str]:
    """The keys of two victims, their surface and the trials of one attack on the first victim.

    The first defense attacks no texts while it trains; the second attacks with "pwws".
    """
    request = build_request(
        defenses=("standard", "augmentation"), attacks=("genetic",), device="cpu"
    )
    inputs = resolve_request(request, Silent())
    (task,) = inputs.tasks
    surface, (plain, attacking), (attack,) = (
        inputs.surface_request(task, task.tests[0]),
        task.victims,
        inputs.attacks,
    )
    trials = cell_key(request, plain, "0" * 64, attack, surface.ingredients)
    return [plain.key, attacking.key, surface.key, trials]


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


def copy_of_the_code(folder: Path) -> Path:
    for room in ("robench", "attacks", "defenses"):
        shutil.copytree(
            CHECKOUT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    return folder


def keys_in(copy: Path, *changed: str) -> list[list[str]]:
    """Return the keys that a copy of the code makes, and those after each file is changed alone."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_KEYS, *changed],
        env={**os.environ, "PYTHONPATH": str(copy)},
        cwd=copy,
        check=True,
        capture_output=True,
        text=True,
    )
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize("edit", [reword, move], ids=["reworded", "moved"])
def test_a_rewording_and_a_move_keep_victims_surfaces_and_trials(
    tmp_path: Path, edit: Callable[[Path], None]
) -> None:
    copy = copy_of_the_code(tmp_path)
    edit(copy)
    assert keys_in(copy) == [keys_of_an_evaluation()]


# The key of trials holds the key of their victim and what decides their surface.
DECIDED_BY = {
    "robench/text/words.py": {"victim", "attacking victim", "surface", "trials"},
    "robench/training/setup.py": {"victim", "attacking victim", "trials"},
    "robench/_base/arithmetic.py": {"victim", "attacking victim", "trials"},
    "robench/search/judge.py": {"attacking victim", "trials"},
    "robench/text/scorer.py": {"surface", "trials"},
    "robench/records/record.py": set(),
    "defenses/standard.py": {"victim", "trials"},
    "defenses/augmentation.py": {"attacking victim"},
    "attacks/genetic.py": {"trials"},
    "attacks/pwws.py": {"attacking victim"},
}
"""File -> the keys that a change of this file alone changes."""


@pytest.fixture(scope="module")
def changed_keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """File -> the names of the keys that did change. One process makes them all."""
    copy = copy_of_the_code(tmp_path_factory.mktemp("changed"))
    before, *after = keys_in(copy, *DECIDED_BY)
    return {
        file: {name for name, old, new in zip(KEYS, before, keys, strict=True) if old != new}
        for file, keys in zip(DECIDED_BY, after, strict=True)
    }


@pytest.mark.parametrize("file", DECIDED_BY)
def test_a_change_of_one_file_changes_the_keys_that_it_decides(
    changed_keys: dict[str, set[str]], file: str
) -> None:
    assert changed_keys[file] == DECIDED_BY[file]
