"""The frozen surface S(x, i): what may replace word i of example x, and how well it fits there.

The surface is the same for every victim and every attack. ``surface_building.py`` makes and stores
it in one Parquet file with one row for each option and these columns:

* ``id``: the example;
* ``position``: the index of the word;
* ``option``: the number of the option; 0 is the original word;
* ``word``: the option itself;
* ``log_ratio``: log-probability in nats minus that of the original word, in the original context,
  in steps of 1e-4; null for the original words and where no language model was used.

All words of every example are in the file, so an evaluation never splits texts again. The file's
metadata (key ``robench``) says what made it, and holds the file's own SHA-256 (key
``robench.seal``). The threshold is not part of the surface: ``Surface.space`` applies it to the
stored ratios.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from robench._base.bounded_reading import (
    GB,
    Bounds,
    Missing,
    Unreadable,
    open_bounded,
    parse_json,
)
from robench._base.seals import check_sealed
from robench.text.space import SearchSpace

if TYPE_CHECKING:
    import pyarrow as pa

METADATA: Final = b"robench"
"""Key of the description in the file's metadata."""
# The surface of 25,000 texts has 60 MB.
_BOUNDS = Bounds(size=8 * GB)
SEAL: Final = b"robench.seal"
"""Key of the seal in the file's metadata (``robench._base.seals``)."""


class Surface:
    """The substitutes of every example of one task.

    Attributes:
        key: SHA-256 of everything that made it; also the stem of the file's name.
        meta: ``made_from``, what made it, and the counts ``examples``, ``words``, ``positions``
            (with substitutes) and ``substitutes``. ``scores`` says how many of them a file of
            scores knows (``ScoreCoverage``); None where no such file was used.
    """

    def __init__(self, table: pa.Table) -> None:
        try:
            description = parse_json(table.schema.metadata[METADATA], "the description", _BOUNDS)
        except Unreadable as error:
            raise ValueError(error.reason) from error
        self.key: str = description["key"]
        self.meta: dict[str, Any] = {
            "made_from": description["made_from"],
            "scores": description["scores"],
            **description["counts"],
        }
        ids = table.column("id").combine_chunks()
        words = table.column("word").combine_chunks()
        self._words = words.dictionary.to_pylist()
        self._codes = words.indices.to_numpy()
        self._positions = table.column("position").to_numpy()
        self._options = table.column("option").to_numpy()
        self._ratios = (
            table.column("log_ratio").combine_chunks().fill_null(np.float32(np.inf)).to_numpy()
        )
        # The rows of an example follow each other, so a slice finds them.
        rows = np.bincount(ids.indices.to_numpy(), minlength=len(ids.dictionary))
        ends = dict(zip(ids.dictionary.to_pylist(), np.cumsum(rows).tolist(), strict=True))
        sizes = dict(zip(ids.dictionary.to_pylist(), rows.tolist(), strict=True))
        # An example without words has no rows.
        self._slices = {
            example: slice(ends.get(example, 0) - sizes.get(example, 0), ends.get(example, 0))
            for example in description["ids"]
        }

    def __contains__(self, example_id: object) -> bool:
        return example_id in self._slices

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every word of the surface once: words of the texts, and substitutes."""
        return tuple(self._words)

    def words(self, example_id: str) -> tuple[str, ...]:
        """Return all words of the example's attackable field.

        Raises:
            KeyError: the example is not in the surface.
        """
        rows = self._slices[example_id]
        codes = self._codes[rows][self._options[rows] == 0]
        return tuple(self._words[code] for code in codes.tolist())

    def space(
        self,
        example_id: str,
        visible: int,
        constrained: bool,
        threshold: float,
        without: Container[str] = frozenset(),
    ) -> SearchSpace:
        """Return the search space of one example for one victim.

        Args:
            example_id: the example.
            visible: number of words inside the victim's window; later words get no substitutes.
            constrained: whether the language-model constraint applies; without it every substitute
                is allowed.
            threshold: how far, in nats, a substitute's log-probability may lie below that of the
                original word. A stored ratio of exactly minus the threshold is allowed.
            without: substitutes that are left out, such as those that the victim does not know
                (``Protocol.unknown``). The original words stay.

        Raises:
            KeyError: the example is not in the surface.
        """
        rows = self._slices[example_id]
        positions, is_original = self._positions[rows], self._options[rows] == 0
        # A missing ratio was read as +inf, so without a language model every substitute is kept.
        keep = is_original | (positions < visible)
        if constrained:
            keep &= is_original | (self._ratios[rows] >= -threshold)
        options: list[list[str]] = [[] for _ in range(int(is_original.sum()))]
        for position, code in zip(
            positions[keep].tolist(), self._codes[rows][keep].tolist(), strict=True
        ):
            word = self._words[code]
            # The first option of a position is the original word.
            if not options[position] or word not in without:
                options[position].append(word)
        return SearchSpace(
            tuple(listed[0] for listed in options), tuple(map(tuple, options)), visible
        )


def read(path: Path, key: str) -> Surface:
    """Open a stored surface.

    Raises:
        OSError, ValueError, KeyError: the file is damaged, is not a surface, has another key, or
            has no seal because an earlier version wrote it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = open_bounded(path, _BOUNDS.size)
    except Missing as error:
        raise FileNotFoundError(str(path)) from error
    except Unreadable as error:
        raise ValueError(error.reason) from error
    with opened as stream:
        # Before the file is parsed: a damaged one may crash its reader.
        check_sealed(stream)
        content = pa.py_buffer(stream.read())
    table = pq.read_table(pa.BufferReader(content), read_dictionary=["id", "word"])
    if table.schema.metadata is None or METADATA not in table.schema.metadata:
        raise ValueError("it has no description")
    surface = Surface(table)
    if surface.key != key:
        raise ValueError(f"it is the surface {surface.key[:12]}…")
    return surface
