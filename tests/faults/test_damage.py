"""Random damage in every kind of file: nothing may be silently different.

A few tries for each kind are part of ``make test``. For many::

    python tests/faults/test_damage.py 1000
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

# For a run as a program; pytest has this folder on its path already.
sys.path.append(str(Path(__file__).parents[1]))

from damage import Kind, damaged, heading, try_kind
from damaged_kinds import KINDS

TRIES = int(os.environ.get("ROBENCH_FAULT_TRIES", "25"))
"""Tries for each kind."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_damage_goes_through_silently(
    kind: Kind, tmp_path: Path, tried: Callable[..., None]
) -> None:
    tally = try_kind(kind, tmp_path / "files", TRIES, seed=0)
    tried(
        f"damage: {kind.name}",
        tally.tries,
        wrong=tally.counts["silently different"],
        crashed=tally.counts["crashed"],
    )
    assert tally.bad == []
    assert tally.tries == TRIES
    assert tally.counts["found"] > 0.5 * TRIES


def test_damage_that_nothing_checks_is_counted(tmp_path: Path) -> None:
    """The count itself finds what it is for."""

    def make(folder: Path) -> list[Path]:
        folder.mkdir()
        (folder / "a").write_bytes(bytes(100))
        return [folder / "a"]

    bare = Kind("bare", make, lambda folder: (folder / "a").read_bytes())
    tally = try_kind(bare, tmp_path / "files", 20, seed=0)
    assert tally.counts["silently different"] == len(tally.bad) == 20
    assert "bare" in tally.row()
    assert len(tally.row()) == len(heading())


def test_every_damage_changes_something() -> None:
    rng = random.Random(0)
    for content in (b"x", b"\0" * 50, bytes(range(256))):
        kinds = set()
        for _ in range(200):
            changed, what = damaged(content, rng)
            assert changed != content
            kinds.add(what.split()[0])
        assert {"bit", "cut"} <= kinds


def main(tries: int, seed: int) -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    sys.stdout.write(f"{heading()}\n")
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            tally = try_kind(kind, Path(folder) / "files", tries, seed)
        lines = [tally.row(), *(f"  {line}" for line in tally.bad[:5])]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["1000"])[0]), int((sys.argv[2:] or ["0"])[0]))
