"""The table of the fault suite itself."""

from __future__ import annotations

from fault_table import Row, table


def test_rows_of_one_kind_are_added_up() -> None:
    text = table([Row("kills", 3, 0, 1, 0), Row("cuts", 2, 1, 0, 0, 1), Row("kills", 4, 0, 0, 2)])
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()[2:]}
    assert rows == {
        "cuts": ["2", "1", "0", "0", "1"],
        "kills": ["7", "0", "1", "2", "0"],
        "all": ["9", "1", "1", "2", "1"],
    }
