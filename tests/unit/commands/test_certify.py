"""``robench certify``: what it says about the records beside the certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.commands.certify import _sandwiches


def test_records_that_cannot_be_read_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _sandwiches([], tmp_path) == []
    assert capsys.readouterr().err == ""
    (tmp_path / "records").mkdir()
    for name in "abc":
        (tmp_path / "records" / f"{name}.json").write_text("{", encoding="utf-8")
    _sandwiches([], tmp_path)
    said = capsys.readouterr()
    assert said.err.startswith(f"Warning: 3 records of {tmp_path} cannot be read. ")
    assert "a.json (it is not JSON: " in said.err
    assert said.out == ""
