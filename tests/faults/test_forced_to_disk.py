"""A power cut after a write loses nothing: files and the names of their folders are forced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from damage import Kind
from damaged_kinds import KINDS

BY_TEST = {"events", "training.json", "transfer.json"}
"""Files that the test writes by itself."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_written_file_and_its_folder_are_forced_to_the_disk(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    paths = [path for path in kind.make(tmp_path / "files") if path.name not in BY_TEST]
    assert paths or kind.name == "transfer.json"
    for path in paths:
        assert path.stat().st_ino in synced, path
        assert path.parent.stat().st_ino in synced, path
