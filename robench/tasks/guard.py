"""What a pick must look like: a guard that says when the data are other data, and where they begin to differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench._base.errors import UsageError
from robench.tasks.base import Example
from robench.tasks.frozen import RawRow, digest, pick_balanced

_BLOCK = 20


@dataclass(frozen=True, slots=True)
class Guard:
    """What a pick must look like, computed once from the publisher's data with ``Guard.of``.

    Attributes:
        rows: labelled rows of the whole split, per label.
        digest: of the picked examples.
        blocks: two hex digits of the digest of every 20 examples, so that a mismatch can say where it begins.
    """

    rows: tuple[int, ...]
    digest: str
    blocks: str

    @classmethod
    def of(cls, picked: Sequence[Example], rows: Sequence[RawRow]) -> Guard:
        """The guard of these examples, picked from these rows."""
        counts = Counter(label for _, label in rows)
        blocks = "".join(
            digest(picked[start : start + _BLOCK])[:2] for start in range(0, len(picked), _BLOCK)
        )
        return cls(
            tuple(counts[label] for label in range(max(counts, default=-1) + 1)),
            digest(picked),
            blocks,
        )

    def pick(
        self, what: str, examples: Iterable[Example], size: int, rows: Sequence[RawRow], origin: str
    ) -> list[Example]:
        """``pick_balanced`` and ``check`` in one: ``size`` of ``examples``, or a UsageError from either; see there for the arguments."""
        picked = pick_balanced(examples, size, len(self.rows))
        self.check(what, picked, rows, origin)
        return picked

    def check(
        self, what: str, picked: Sequence[Example], rows: Sequence[RawRow], origin: str
    ) -> None:
        """Raise UsageError unless ``picked`` is what it was when the guard was made; the sentence says what differs.

        Args:
            what: names the pick, such as ``"The frozen test examples of imdb"``.
            rows: all rows of the split it was picked from.
            origin: where they were found.
        """
        found = Guard.of(picked, rows)
        if found == self:
            return
        differs = [f"rows per label {_counts(found.rows)} instead of {_counts(self.rows)}"]
        if found.digest != self.digest:
            differs += [
                f"digest {found.digest[:16]} instead of {self.digest[:16]}",
                self._first_difference(found, picked),
            ]
        raise UsageError(
            f"{what} come from other data than the published ones: {'; '.join(differs)}. "
            f"What was read ({origin}) is incomplete or another version: fetch it again."
        )

    def _first_difference(self, found: Guard, picked: Sequence[Example]) -> str:
        places = range(0, len(self.blocks), 2)
        start = next(
            (at for at in places if found.blocks[at : at + 2] != self.blocks[at : at + 2]),
            len(self.blocks),
        )
        block = picked[start // 2 * _BLOCK :][:_BLOCK]
        return (
            f"the first difference lies between the ids {block[0].id} and {block[-1].id}"
            if block
            else f"{len(picked)} were picked"
        )


def _counts(rows: Sequence[int]) -> str:
    return " + ".join(f"{count:,}" for count in rows) or "0"
