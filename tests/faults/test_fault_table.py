"""The table of the fault suite itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fault_table import Row, table


def test_rows_of_one_kind_are_added_up() -> None:
    text = table([Row("kills", 3, 0, 1, 0), Row("cuts", 2, 1, 0, 0, 1), Row("kills", 4, 0, 0, 2)])
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()[2:]}
    assert rows == {
        "cuts": ["2", "1", "0", "0", "1"],
        "kills": ["7", "0", "1", "2", "0"],
        "all": ["9", "1", "1", "2", "1"],
    }


def test_a_skipped_test_has_a_row_that_says_so(pytestconfig: pytest.Config) -> None:
    (plugin,) = [
        each for each in pytestconfig.pluginmanager.get_plugins() if hasattr(each, "skipped_rows")
    ]
    report = SimpleNamespace(
        nodeid="tests/faults/test_full_disk.py::test_x",
        longrepr=("test_full_disk.py", 7, "Skipped: it may not mount"),
    )
    assert plugin.skipped_rows([report]) == [
        Row("full disk: skipped, it may not mount", 0, 0, 0, 0)
    ]
