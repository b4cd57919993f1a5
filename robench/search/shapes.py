"""The shapes of forward passes.

A row's padded length depends on the row alone, and a forward pass has at least ``Shapes.floor``
rows, because a CPU uses other kernels for one to three rows. Whether a machine needs more than this
for repeatable answers is found out by ``robench.search.packing``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from robench._base.environment import Precision

if TYPE_CHECKING:
    from robench.search.victim_protocol import SearchVictim


class Bucket(NamedTuple):
    """Rows that can share a forward pass.

    Attributes:
        length: tokens of each row, padding included.
        precision: of the forward pass.
        small: whether the forward pass has ``Shapes.floor`` rows even under fixed shapes.
        padded: whether every row has padding. Encoders compute attention in another way where a
            row is padded, so fixed shapes keep padded rows and whole rows apart. Without fixed
            shapes this is False for all rows.
    """

    length: int
    precision: Precision = "fp32"
    small: bool = False
    padded: bool = False


@dataclass(frozen=True)
class Shapes:
    """The number of rows of a forward pass, and their padding.

    Attributes:
        tokens: tokens of a full forward pass. About 2,400 keep a CPU core busy (100 rows of 24,
            24 of 100, 9 of 250); more gain nothing.
        most: maximum number of rows, however short they are.
        floor: minimum number of rows; missing ones are copies of the first row.
        fixed: whether every forward pass is filled up to its full number of rows. Single rows
            (clean texts, verdicts) then have passes of their own, of ``floor`` rows.
        exact: whether rows are never padded. With one token per word all rows of an example are
            equally long, so passes fill up all the same. Encoders skip the attention mask where
            nothing is padded, which saves 10 % and more at 250 tokens.
    """

    tokens: int = 2400
    most: int = 128
    floor: int = 8
    fixed: bool = False
    exact: bool = False

    @classmethod
    def of(cls, victim: SearchVictim) -> Shapes:
        """Return the shapes for a victim and its device; the figures for GPUs are estimates."""
        table = victim.table
        if victim.device.startswith("cpu"):
            return cls(exact=table.mode != "subword" or not table.can_pad)
        return cls(tokens=32768, most=512, fixed=True, exact=not table.can_pad)

    def padded(self, length: int, longest: int) -> int:
        """Return the length that a row of ``length`` tokens is padded to.

        Up to 32 tokens it is not padded. Beyond, it is padded to a multiple of 2, 4 or 8, and
        never beyond ``longest``. At most 1/16 of a row is padding.
        """
        step = 1 if self.exact or length <= 32 else 2 if length <= 64 else 4 if length <= 128 else 8
        return min(-(-length // step) * step, longest)

    def rows(self, bucket: Bucket) -> int:
        """Return the number of rows of a full forward pass."""
        if bucket.small:
            return self.floor
        rows = max(self.floor, min(self.most, self.tokens // bucket.length))
        # Some libraries compute in blocks of four or eight rows and use another kernel for the
        # rest, so that a row's place would matter.
        return rows - rows % self.floor if self.fixed else rows

    def filled(self, rows: int, bucket: Bucket) -> int:
        """Return the number of rows that a forward pass of ``rows`` real rows is filled up to."""
        return self.rows(bucket) if self.fixed else max(rows, self.floor)
