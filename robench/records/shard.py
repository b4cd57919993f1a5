"""Shard: one of the equal parts into which a run on many machines divides its examples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from robench._base.errors import UsageError

Each = TypeVar("Each")

MOST = 100_000
"""Shards at most."""
_WRITTEN = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_FOLDER = re.compile(r"([1-9][0-9]{0,8})-of-([1-9][0-9]{0,8})")


@dataclass(frozen=True, order=True)
class Shard:
    """One part of the examples of every cell of a run.

    The examples of a cell are sorted by their ids, which are hashes of their content. Shard
    ``i`` of ``n`` has the examples at the positions ``i - 1``, ``i - 1 + n``, ``i - 1 + 2 n``, …
    So shards differ by one example at most, and none has only short texts or only one label.

    Attributes:
        of: number of shards, ``n``.
        number: number of this one, from 1 to ``n``.
    """

    of: int
    number: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= MOST:
            raise UsageError(
                f"--shard {self.number}/{self.of}: the first number goes from 1 to the second, "
                f"which is {MOST:,} at most."
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that ``"1/4"`` names.

        Raises:
            UsageError: the text names none.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise UsageError(
                f"--shard '{text}': write the number of the shard and the number of shards, "
                "such as 1/4."
            )
        return cls(of=int(found[2]), number=int(found[1]))

    @classmethod
    def of_folder(cls, name: str) -> Shard | None:
        """Return the shard whose files lie in a folder of this name; None for other names."""
        found = _FOLDER.fullmatch(name)
        if found is None or not int(found[1]) <= int(found[2]) <= MOST:
            return None
        return cls(of=int(found[2]), number=int(found[1]))

    @property
    def folder_name(self) -> str:
        """Name of the folder of its files: ``"1-of-4"``."""
        return f"{self.number}-of-{self.of}"

    def share(self, whole: Sequence[Each]) -> list[Each]:
        """Return the part of ``whole`` that belongs to this shard."""
        return list(whole[self.number - 1 :: self.of])

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
