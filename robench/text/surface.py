"""The frozen surface S(x, i): what may stand for word i of example x, and how well it fits there. The same for every victim and attack.

One Parquet file: a row an option, columns ``id`` (example), ``position`` (word index), ``option`` (0 is the original word), ``word`` and ``log_ratio`` (nats
against the original word in its original context, in steps of 1e-4; null for the originals and where no language model was asked). All words of every
example are in it, so an evaluation never splits words again. The file's metadata (key ``robench``) says what made it. The threshold is not part of it:
``Surface.space`` applies it to the stored ratios. ``surface_building.py`` makes and stores it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from robench.text.space import SearchSpace

if TYPE_CHECKING:
    import pyarrow as pa

METADATA: Final = b"robench"
"""Key of the description in the file's metadata."""


class Surface:
    """The substitutes of every example of one task.

    Attributes:
        key: SHA-256 of everything that made it; also the file's stem.
        meta: what made it, and counts: ``examples``, ``words``, ``positions`` (substitutable), ``substitutes``.
    """

    def __init__(self, table: pa.Table) -> None:
        description = json.loads(table.schema.metadata[METADATA])
        self.key: str = description["key"]
        self.meta: dict[str, Any] = {"made_from": description["made_from"], **description["counts"]}
        ids = table.column("id").combine_chunks()
        words = table.column("word").combine_chunks()
        self._words = words.dictionary.to_pylist()
        self._codes = words.indices.to_numpy()
        self._positions = table.column("position").to_numpy()
        self._options = table.column("option").to_numpy()
        self._ratios = (
            table.column("log_ratio").combine_chunks().fill_null(np.float32(np.inf)).to_numpy()
        )
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

    def words(self, example_id: str) -> tuple[str, ...]:
        """All words of the example's attackable field; raises KeyError for an example that is not in the surface."""
        rows = self._slices[example_id]
        codes = self._codes[rows][self._options[rows] == 0]
        return tuple(self._words[code] for code in codes.tolist())

    def space(
        self, example_id: str, visible: int, constrained: bool, threshold: float
    ) -> SearchSpace:
        """The search space of one example for one victim.

        Args:
            visible: words inside the victim's window; those beyond have no substitutes.
            constrained: whether the language-model constraint binds; without it every substitute is allowed.
            threshold: nats that a substitute's log-probability may lie below the original word's; exactly that far, as it is stored, is allowed.

        Raises:
            KeyError: an example that is not in the surface.
        """
        rows = self._slices[example_id]
        positions, is_original = self._positions[rows], self._options[rows] == 0
        keep = is_original | (positions < visible)
        if constrained:
            keep &= is_original | (self._ratios[rows] >= -threshold)
        options: list[list[str]] = [[] for _ in range(int(is_original.sum()))]
        for position, code in zip(
            positions[keep].tolist(), self._codes[rows][keep].tolist(), strict=True
        ):
            options[position].append(self._words[code])
        return SearchSpace(
            tuple(listed[0] for listed in options), tuple(map(tuple, options)), visible
        )


def read(path: Path, key: str) -> Surface:
    """Open a stored surface.

    Raises:
        OSError, ValueError, KeyError: it is torn, not a surface, or not the one called ``key``.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path, read_dictionary=["id", "word"], memory_map=False)
    if table.schema.metadata is None or METADATA not in table.schema.metadata:
        raise ValueError("it has no description")
    surface = Surface(table)
    if surface.key != key:
        raise ValueError(f"it is the surface {surface.key[:12]}…")
    return surface
