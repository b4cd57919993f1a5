"""``robench verify`` refuses what is no run at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from robench.cli import main


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nope", "does not exist"), ("README.md", "is a file, not the folder of a run")],
)
def test_what_is_no_run_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("the verification was begun")

    monkeypatch.setattr("robench.commands.verify.quiet_environment", load)
    (tmp_path / "README.md").write_text("A text.", encoding="utf-8")
    result = CliRunner().invoke(main, ["verify", str(tmp_path / name)])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"'{tmp_path / name}' {reason}. Name a folder" in line
