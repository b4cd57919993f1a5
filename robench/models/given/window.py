"""The window of a given model: its own template, and where its tokenizer cuts long texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robench.text.layout import Layout


@dataclass(frozen=True)
class Window:
    """The special tokens of a model's template, and how many tokens it takes.

    Attributes:
        layout: the tokenizer's own template of one text or a pair.
        max_tokens: special tokens included.
        slot: the number of the attackable field.
        from_left: whether long texts are cut at their beginning.
    """

    layout: Layout
    max_tokens: int
    slot: int
    from_left: bool = False

    def kept(self, lengths: Sequence[int]) -> list[int]:
        """Return how many tokens of each field are kept (transformers' ``longest_first``)."""
        room = self.max_tokens - self.layout.specials
        if sum(lengths) <= room:
            return list(lengths)
        if len(lengths) == 1:
            return [room]
        short, long = sorted(lengths)
        long = max(short, room - short)
        if short + long > room:
            short = room // 2
            long = room - short
        # With equal lengths the first field counts as the shorter one.
        return [long, short] if lengths[0] > lengths[1] else [short, long]

    def row(self, fields: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
        """Return the ids and token types of one row.

        Args:
            fields: the ids of each field, without special tokens and whole.
        """
        layout = self.layout
        ids, types = list(layout.gaps[0]), list(layout.gap_types[0])
        for number, kept in enumerate(self.kept([len(field) for field in fields])):
            field = fields[number]
            part = field[len(field) - kept :] if self.from_left else field[:kept]
            ids += [*part, *layout.gaps[number + 1]]
            types += [layout.field_types[number]] * kept + [*layout.gap_types[number + 1]]
        return ids, types


def cuts_from_left(tokenizer: Any) -> bool:
    """Return whether the tokenizer cuts long texts at their beginning."""
    return bool(getattr(tokenizer, "truncation_side", "right") == "left")
