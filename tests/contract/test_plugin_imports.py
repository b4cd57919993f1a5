"""Attacks, defenses and what plugin authors copy from use robench's public names only.

Public are ``robench``, ``robench.methods`` and, for tests, ``robench.testing``. The imports are
read from the source, so that an import inside a function counts too.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from string import Template

import pytest
from textattack_cases import textattack_or_skip

import robench
import robench.methods

ROOT = Path(__file__).resolve().parents[2]
SCAFFOLD = ROOT / "robench" / "embedded" / "scaffold"
EXAMPLE = ROOT / "tests" / "plugin_example" / "src"

BUILT_IN = sorted([*(ROOT / "attacks").rglob("*.py"), *(ROOT / "defenses").rglob("*.py")])
COPIED = sorted([*SCAFFOLD.glob("attack*.txt"), *SCAFFOLD.glob("defense*.txt")])
EXAMPLES = sorted(EXAMPLE.rglob("*.py"))

PUBLIC = {"robench", "robench.methods"}
PUBLIC_FOR_TESTS = PUBLIC | {"robench.testing"}


def robench_imports(source: str) -> list[tuple[str, str]]:
    """Return (module, name) of every import of robench; the name of ``import module`` is empty."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(module, alias.name) for alias in node.names]
    return [(module, name) for module, name in found if module.split(".")[0] in ("robench", "")]


def assert_public(source: str, public: set[str]) -> None:
    for module, name in robench_imports(source):
        assert module in public, f"imports from {module}"
        names = importlib.import_module(module).__all__
        assert name == "" or name in names, f"{name} is no public name of {module}"


@pytest.mark.parametrize("file", BUILT_IN, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_built_in_plugin_imports_public_names_only(file: Path) -> None:
    assert_public(file.read_text("utf-8"), PUBLIC)


@pytest.mark.parametrize("file", COPIED, ids=lambda file: file.stem)
def test_what_robench_new_writes_imports_public_names_only(file: Path) -> None:
    words = {"name": "my-method", "stem": "my_method", "cls": "MyMethod", "binding": ""}
    source = Template(file.read_text("utf-8")).substitute(words)
    assert_public(source, PUBLIC_FOR_TESTS)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_example_package_imports_public_names_only(file: Path) -> None:
    assert_public(file.read_text("utf-8"), PUBLIC_FOR_TESTS)


@pytest.mark.parametrize("file", BUILT_IN, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_built_in_plugin_imports_no_slow_package_at_its_top(file: Path) -> None:
    """A plugin is imported for its options, before anything of a command is checked."""
    top = ast.parse(file.read_text("utf-8")).body
    modules = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    slow = {"scipy", "pandas", "transformers", "datasets", "statsmodels", "nltk", "textattack"}
    assert not slow & {module.split(".")[0] for module in modules}


def test_there_are_files_of_every_kind_to_be_read() -> None:
    assert len(BUILT_IN) > 20
    assert len(COPIED) == 4
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize(
    "source",
    [
        "from robench._base.errors import UsageError",
        "def search():\n    from robench.text.space import Choice",
        "import robench.training.loop",
        "from robench import _MODULE_OF",
        "from robench.attacks.pwws import Pwws",
        "from . import pwws",
        "from ..attacks import pwws",
    ],
)
def test_a_private_import_is_found(source: str) -> None:
    with pytest.raises(AssertionError):
        assert_public(source, PUBLIC_FOR_TESTS)


@pytest.mark.parametrize("name", robench.methods.__all__)
def test_every_public_name_of_the_methods_is_there(name: str) -> None:
    if name in ("Symbols", "symbol_attack"):
        textattack_or_skip()
    assert getattr(robench.methods, name) is not None


def test_the_methods_list_the_names_that_they_have() -> None:
    assert sorted(robench.methods.__all__) == sorted(robench.methods._MODULE_OF)
    assert dir(robench.methods) == sorted(robench.methods.__all__)


def test_an_unknown_name_of_the_methods_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'robench\.methods' has no attribute 'nothing'"):
        _ = robench.methods.nothing


def test_importing_robench_and_its_methods_imports_no_torch() -> None:
    program = "import robench, robench.methods, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"
