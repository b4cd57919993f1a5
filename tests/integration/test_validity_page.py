"""The page about validity names tests for each trap; these tests must exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "concepts" / "validity.md"
ROWS = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
NAMED = [(number, trap, each) for number, trap, tests in ROWS for each in tests.split(", ")]


def test_there_are_seventeen_traps() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, 18))
    assert len({trap for _, trap, *_ in ROWS}) == 17


@pytest.mark.parametrize(("number", "trap", "named"), NAMED)
def test_each_test_of_a_trap_exists(number: str, trap: str, named: str) -> None:
    assert re.fullmatch("`[^`]+::[^`]+`", named), f"trap {number}"
    file, _, name = named.strip("`").partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in defined, f"trap {number} ({trap})"
