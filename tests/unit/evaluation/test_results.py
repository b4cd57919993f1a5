"""Two runs write one table in turn."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from evaluation_cases import Listening

from robench.evaluation import results
from robench.evaluation.request import build_request
from robench.records.run_folder import RunFolder


def test_a_table_never_lacks_the_record_of_another_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.records.mkdir(parents=True)
    request, report = build_request(out=tmp_path, wait=0), Listening()
    others: list[Thread] = []

    def names(place: Path, known: object) -> SimpleNamespace:
        found = sorted(path.name for path in place.iterdir())
        if not others:
            # The other run ends a cell after this run has read the records.
            (place / "second").touch()
            others.append(Thread(target=results.write_leaderboard, args=(request.out, report)))
            others[0].start()
            others[0].join(timeout=0.5)
        return SimpleNamespace(records=found)

    def table(found: Any, *_: Any) -> str:
        return " ".join(found.records)

    monkeypatch.setattr(results, "find_records", names)
    monkeypatch.setattr(results, "render_run", table)
    monkeypatch.setattr(results, "checked_marks", lambda *_: None)
    (folder.records / "first").touch()
    results.write_leaderboard(request.out, report)
    others[0].join()
    assert folder.leaderboard.read_text() == "first second"
    assert not list(tmp_path.glob("*.lock"))
    assert report.messages[0].startswith(f"Another run is writing '{folder.leaderboard}'.")
