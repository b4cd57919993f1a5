"""The token ids of chunks: pieces of a text between two single blanks.

A tokenizer that never joins what a blank separates gives a chunk the same tokens whatever stands
around it. So a substitution changes the tokens of one chunk, and each chunk is tokenised once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from robench.models.given.plain_tokens import plain_ids

_ANCHOR = "a"
_BLANK = re.compile(r"(?<=\S) (?=\S)")
MEMORY_LIMIT = 2**18
"""Number of chunks kept at once."""


class NotByChunk(Exception):
    """The tokenizer joins what a blank separates, so whole texts have to be tokenised."""


class ChunkTable:
    """Chunk -> token ids for one tokenizer; the text's first chunk may have others."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._anchor = plain_ids(tokenizer, [_ANCHOR])[0]
        self._first: dict[str, tuple[int, ...]] = {}
        self._inner: dict[str, tuple[int, ...]] = {}

    def ids(self, chunks: Sequence[tuple[str, bool]]) -> list[tuple[int, ...]]:
        """Return the ids of chunks, each with whether it begins the text.

        Raises:
            NotByChunk: a chunk changes the tokens before it.
        """
        self._prepare(self._first, {chunk for chunk, first in chunks if first}, "")
        self._prepare(self._inner, {chunk for chunk, first in chunks if not first}, f"{_ANCHOR} ")
        return [(self._first if first else self._inner)[chunk] for chunk, first in chunks]

    def _prepare(self, memory: dict[str, tuple[int, ...]], wanted: set[str], before: str) -> None:
        fresh = sorted(chunk for chunk in wanted if chunk not in memory)
        if not fresh:
            return
        if len(memory) + len(fresh) > MEMORY_LIMIT:
            memory.clear()
            fresh = sorted(wanted)
        anchor = self._anchor if before else []
        encoded = plain_ids(self._tokenizer, [before + chunk for chunk in fresh])
        for chunk, ids in zip(fresh, encoded, strict=True):
            if ids[: len(anchor)] != anchor:
                raise NotByChunk(chunk)
            memory[chunk] = tuple(ids[len(anchor) :])


def chunk_ends(text: str, spans: Iterable[tuple[int, int]]) -> list[int]:
    """Return where the chunks of ``text`` end; the next one begins one character later.

    Args:
        spans: (start, end) of every word; none is cut.
    """
    inside = {place for start, end in spans for place in range(start, end)}
    blanks = (found.start() for found in _BLANK.finditer(text))
    return [*(place for place in blanks if place not in inside), len(text)]


def stands_alone(chunk: str) -> bool:
    """Return whether ``chunk`` has single blanks around it wherever it is put."""
    return bool(chunk) and chunk == chunk.strip()
