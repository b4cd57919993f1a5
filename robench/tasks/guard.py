"""Guards: expected digests of picked examples, which detect data other than the published ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench._base.errors import UsageError
from robench.tasks.example import Example
from robench.tasks.frozen import RawRow, digest, pick_balanced

_BLOCK = 20
_OWN_DATA = "For data of your own, name their file: --task FILE."


@dataclass(frozen=True, slots=True)
class Guard:
    """What picked examples must look like; made once from the publisher's data by ``Guard.of``.

    Attributes:
        rows: labelled rows of the whole split, per label.
        digest: digest of the picked examples.
        blocks: the first two hex digits of the digest of every 20 examples, concatenated. They
            tell where a mismatch begins.
    """

    rows: tuple[int, ...]
    digest: str
    blocks: str

    @classmethod
    def of(cls, picked: Sequence[Example], rows: Sequence[RawRow]) -> Guard:
        """Make the guard of the examples that were picked from ``rows``."""
        counts = Counter(label for _, label in rows)
        classes = max(counts, default=-1) + 1
        starts = range(0, len(picked), _BLOCK)
        blocks = [digest(picked[start : start + _BLOCK])[:2] for start in starts]
        return cls(
            rows=tuple(counts[label] for label in range(classes)),
            digest=digest(picked),
            blocks="".join(blocks),
        )

    def pick(
        self, what: str, examples: Iterable[Example], size: int, rows: Sequence[RawRow], origin: str
    ) -> list[Example]:
        """Pick ``size`` balanced examples and check them.

        See ``pick_balanced`` and ``check`` for the arguments.

        Raises:
            UsageError: a label has too few examples, or the picked ones are not as expected.
        """
        try:
            picked = pick_balanced(examples, size, len(self.rows))
        except UsageError as error:
            raise UsageError(f"{what} ({origin}): {error} {_OWN_DATA}") from error
        self.check(what, picked, rows, origin)
        return picked

    def check(
        self, what: str, picked: Sequence[Example], rows: Sequence[RawRow], origin: str
    ) -> None:
        """Raise UsageError unless ``picked`` equals what the guard was made from.

        Args:
            what: name of the picked examples, such as ``"The frozen test examples of imdb"``.
            picked: the examples to check.
            rows: all rows of the split that they were picked from.
            origin: where the rows were found.
        """
        found = Guard.of(picked, rows)
        if found == self:
            return
        differences = [f"rows per label {_counts(found.rows)} instead of {_counts(self.rows)}"]
        if found.digest != self.digest:
            differences += [
                f"digest {found.digest[:16]} instead of {self.digest[:16]}",
                self._first_difference(found, picked),
            ]
        raise UsageError(
            f"{what} come from other data than the published ones: {'; '.join(differences)}. "
            f"What was read ({origin}) is incomplete or another version: fetch it again. "
            f"{_OWN_DATA}"
        )

    def _first_difference(self, found: Guard, picked: Sequence[Example]) -> str:
        """Describe between which ids the picked examples begin to differ."""
        # A block is two hex digits. Without a differing block, the difference lies at the end.
        offsets = range(0, len(self.blocks), 2)
        start = next(
            (at for at in offsets if found.blocks[at : at + 2] != self.blocks[at : at + 2]),
            len(self.blocks),
        )
        block = picked[start // 2 * _BLOCK :][:_BLOCK]
        if not block:
            return f"{len(picked)} were picked"
        return f"the first difference lies between the ids {block[0].id} and {block[-1].id}"


def _counts(rows: Sequence[int]) -> str:
    return " + ".join(f"{count:,}" for count in rows) or "0"
