"""Damage files at random, and count what reading them finds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robench._base.errors import RobenchError

Outcome = Literal["found", "harmless", "silently different", "crashed"]


class Found(Exception):
    """Reading noticed the damage, and used nothing of it."""


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: for the table.
        make: writes intact files into a folder and returns those that may be damaged.
        read: reads what is in the folder, as robench does, and returns all that it would use.
            It raises RobenchError or ``Found`` where it notices damage.
    """

    name: str
    make: Callable[[Path], Sequence[Path]]
    read: Callable[[Path], Any]


@dataclass
class Tally:
    """What came of damaging one kind of file.

    Attributes:
        counts: outcome -> number of tries.
        bad: the tries that must not be, in words.
    """

    name: str
    counts: dict[Outcome, int] = field(
        default_factory=lambda: {
            "found": 0,
            "harmless": 0,
            "silently different": 0,
            "crashed": 0,
        }
    )
    bad: list[str] = field(default_factory=list)

    @property
    def tries(self) -> int:
        return sum(self.counts.values())

    def row(self) -> str:
        numbers = "".join(f"{number:>20}" for number in self.counts.values())
        return f"{self.name:<28}{self.tries:>8}{numbers}"


def heading() -> str:
    return f"{'kind of file':<28}{'tries':>8}" + "".join(f"{name:>20}" for name in Tally("").counts)


def damaged(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Return the content with one damage of a random kind at a random place, and its name."""
    while True:
        place = rng.randrange(len(content) + 1)
        kind = rng.choice(["bit", "bit", "bit", "bit", "cut", "zeros", "noise", "moved"])
        length = min(rng.choice([1, 8, 64, 512, 4096]), len(content) - place)
        if kind == "bit":
            changed = bytearray(content)
            changed[min(place, len(content) - 1)] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            changed = bytearray(content[:place])
        elif kind == "zeros":
            changed = bytearray(content[:place] + b"\0" * length + content[place + length :])
        elif kind == "noise":
            noise = rng.randbytes(length)
            changed = bytearray(content[:place] + noise + content[place + length :])
        else:
            # A block of the file in another place, as a broken file system may leave it.
            start = rng.randrange(len(content))
            block = content[start : start + length]
            changed = bytearray(content[:place] + block + content[place + len(block) :])
        if bytes(changed) != content:
            return bytes(changed), f"{kind} at {place} of {len(content)}"


def try_kind(kind: Kind, folder: Path, tries: int, seed: int) -> Tally:
    """Damage files of one kind, one at a time, and read them each time."""
    rng, tally = random.Random(f"{seed} {kind.name}"), Tally(kind.name)
    files = list(kind.make(folder))
    intact = {path: path.read_bytes() for path in files}
    wanted = kind.read(folder)
    for path in files:
        assert path.read_bytes() == intact[path], "reading intact files changes nothing"
    for _ in range(tries):
        # Large files are hit more often, as on a disk, and small ones often enough.
        path = rng.choices(files, [len(intact[each]) ** 0.5 for each in files])[0]
        content, what = damaged(intact[path], rng)
        path.write_bytes(content)
        outcome = outcome_of(kind, folder, wanted)
        tally.counts[outcome] += 1
        if outcome in ("silently different", "crashed"):
            tally.bad.append(f"{path.name}: {what}: {outcome}")
        for each in files:
            each.parent.mkdir(parents=True, exist_ok=True)
            each.write_bytes(intact[each])
    return tally


def outcome_of(kind: Kind, folder: Path, wanted: Any) -> Outcome:
    try:
        content = kind.read(folder)
    except (RobenchError, Found):
        return "found"
    except Exception:
        return "crashed"
    return "harmless" if content == wanted else "silently different"
