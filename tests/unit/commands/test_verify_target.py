"""``robench verify`` refuses what is no run at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from robench._base.errors import UsageError
from robench.cli import main
from robench.verification.settings import VerificationSettings


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


def test_the_folder_of_the_data_is_that_of_the_environment_as_in_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the checks of a task whose texts lie there are left out."""
    (tmp_path / "run" / "records").mkdir(parents=True)
    (tmp_path / "run" / "records" / "a.json").write_text("{}", encoding="utf-8")
    given: list[Path | None] = []

    def look(_: Path, settings: VerificationSettings, *__: object, **___: object) -> None:
        given.append(settings.data)
        raise UsageError("looked")

    monkeypatch.setattr("robench.verification.run.verify", look)
    monkeypatch.setenv("ROBENCH_DATA", str(tmp_path))
    result = CliRunner().invoke(main, ["verify", str(tmp_path / "run")])
    assert (result.exit_code, given) == (2, [tmp_path]), result.output
