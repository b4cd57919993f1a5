"""The frozen surface S(x, i): what may stand for word i of example x, and how well it fits there. Built once, hashed, the same for every victim and attack.

One Parquet file: a row an option, columns ``id`` (example), ``position`` (word index), ``option`` (0 is the original word), ``word`` and ``log_ratio`` (nats
against the original word in its original context; null for the originals and where no language model was asked). All words of every example are in it, so an
evaluation never splits words again. The file's metadata (key ``robench``) says what made it. The threshold is not part of it: ``Surface.space`` applies it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robench.errors import RobenchError
from robench.protocol import Protocol
from robench.search.space import SearchSpace
from robench.sources import source_sha256
from robench.tasks.base import Example
from robench.text.language_model import Request, Scorer
from robench.text.substitutions import SubstitutionSet
from robench.text.words import split_words, splitter_version

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, int], None]

logger = logging.getLogger(__name__)
_METADATA = b"robench"
# Examples scored at a time: enough to fill batches of like length, few enough for a progress bar and little memory.
_CHUNK = 16


class Surface:
    """The substitutes of every example of one task.

    Attributes:
        key: SHA-256 of everything that made it; also the file's stem.
        meta: what made it, and counts: ``examples``, ``words``, ``positions`` (substitutable), ``substitutes``.
    """

    def __init__(self, table: pa.Table) -> None:
        description = json.loads(table.schema.metadata[_METADATA])
        self.key: str = description["key"]
        self.meta: dict[str, Any] = {"made_from": description["made_from"], **description["counts"]}
        ids = table.column("id").combine_chunks()
        words = table.column("word").combine_chunks()
        self._words = words.dictionary.to_pylist()
        self._codes = words.indices.to_numpy()
        self._positions = table.column("position").to_numpy()
        self._options = table.column("option").to_numpy()
        self._ratios = table.column("log_ratio").combine_chunks().fill_null(np.float32(np.inf)).to_numpy()
        rows = np.bincount(ids.indices.to_numpy(), minlength=len(ids.dictionary))
        ends = dict(zip(ids.dictionary.to_pylist(), np.cumsum(rows).tolist(), strict=True))
        sizes = dict(zip(ids.dictionary.to_pylist(), rows.tolist(), strict=True))
        # An example without words has no rows.
        self._slices = {example: slice(ends.get(example, 0) - sizes.get(example, 0), ends.get(example, 0)) for example in description["ids"]}

    def __contains__(self, example_id: object) -> bool:
        return example_id in self._slices

    def words(self, example_id: str) -> tuple[str, ...]:
        """All words of the example's attackable field; raises KeyError for an example that is not in the surface."""
        rows = self._slices[example_id]
        codes = self._codes[rows][self._options[rows] == 0]
        return tuple(self._words[code] for code in codes.tolist())

    def space(self, example_id: str, visible: int, constrained: bool, threshold: float) -> SearchSpace:
        """The search space of one example for one victim.

        Args:
            visible: words inside the victim's window; those beyond have no substitutes.
            constrained: whether the language-model constraint binds; without it every substitute is allowed.
            threshold: nats that a substitute's log-probability may lie below the original word's; exactly that far is allowed.

        Raises:
            KeyError: an example that is not in the surface.
        """
        rows = self._slices[example_id]
        positions, is_original = self._positions[rows], self._options[rows] == 0
        keep = is_original | (positions < visible)
        if constrained:
            keep &= is_original | (self._ratios[rows] >= -threshold)
        options: list[list[str]] = [[] for _ in range(int(is_original.sum()))]
        for position, code in zip(positions[keep].tolist(), self._codes[rows][keep].tolist(), strict=True):
            options[position].append(self._words[code])
        return SearchSpace(tuple(listed[0] for listed in options), tuple(map(tuple, options)), visible)


def load_or_build(
    folder: Path,
    examples: Sequence[Example],
    attackable: str,
    task: str,
    digest: str,
    substitutions: SubstitutionSet,
    protocol: Protocol,
    scorer: Scorer | None,
    max_words: int,
    progress: Progress | None = None,
) -> Surface:
    """The surface of ``examples``, from ``folder/<key>.parquet`` if it is there, else built and written there.

    Args:
        folder: made if need be.
        attackable: the field whose words may be replaced.
        task, digest: name and digest of the examples' split, for the key.
        protocol: its ``lookup`` and ``lm_radius`` count.
        scorer: None leaves the constraint without effect, which ``meta`` says.
        max_words: words from this index on get no substitutes (they lie outside every victim's window).
        progress: called with (examples done, examples in all).

    Raises:
        UsageError: the scorer cannot answer for these examples.
        RobenchError: the file cannot be written.
    """
    made_from = ingredients(examples, attackable, task, digest, substitutions, protocol, scorer, max_words)
    key = key_of(made_from)
    path = folder / f"{key}.parquet"
    if path.exists():
        try:
            return read(path, key)
        except (OSError, ValueError, KeyError, AttributeError) as error:
            logger.warning("The surface %s is not usable (%s: %s) and is built again.", path, type(error).__name__, str(error)[:200])
    table = _build(examples, attackable, substitutions, protocol, scorer, max_words, progress)
    description = {"key": key, "made_from": made_from, "counts": _counts(table, len(examples)), "ids": [example.id for example in examples]}
    table = table.replace_schema_metadata({_METADATA: json.dumps(description, sort_keys=True).encode()})
    _write(table, path)
    return Surface(table)


def read(path: Path, key: str) -> Surface:
    """Open a stored surface.

    Raises:
        OSError, ValueError, KeyError: it is torn, not a surface, or not the one called ``key``.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path, read_dictionary=["id", "word"], memory_map=False)
    if table.schema.metadata is None or _METADATA not in table.schema.metadata:
        raise ValueError("it has no description")
    surface = Surface(table)
    if surface.key != key:
        raise ValueError(f"it is the surface {surface.key[:12]}…")
    return surface


def key_of(made_from: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a surface's ``ingredients``."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def ingredients(
    examples: Sequence[Example],
    attackable: str,
    task: str,
    digest: str,
    substitutions: SubstitutionSet,
    protocol: Protocol,
    scorer: Scorer | None,
    max_words: int,
) -> dict[str, Any]:
    """All that decides a surface, as plain JSON; see ``load_or_build`` for the arguments. Builds nothing."""
    # The split's digest names the whole split; a limited run holds fewer examples, so their own texts count as well.
    texts = hashlib.sha256(json.dumps([(example.id, example.fields[attackable]) for example in examples]).encode()).hexdigest()
    return {
        "code": source_sha256("robench.text"),
        "task": task,
        "digest": digest,
        "attackable": attackable,
        "texts": texts,
        "substitutions": substitutions.sha256,
        "lookup": protocol.lookup,
        "radius": protocol.lm_radius,
        "scorer": "none" if scorer is None else scorer.identity,
        "splitter": splitter_version(),
        "max_words": max_words,
    }


def _build(
    examples: Sequence[Example],
    attackable: str,
    substitutions: SubstitutionSet,
    protocol: Protocol,
    scorer: Scorer | None,
    max_words: int,
    progress: Progress | None,
) -> pa.Table:
    texts = [tuple(split_words(example.fields[attackable])) for example in examples]
    if scorer is not None:
        scorer.check(texts)
    columns = _Columns()
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        found = [{i: subs for i, word in enumerate(words[:max_words]) if (subs := substitutions.of(word, protocol.lookup))} for words in chunk]
        ratios: list[dict[int, Any]] = [{} for _ in chunk]
        if scorer is not None:
            places = [(number, i) for number, by_position in enumerate(found) for i in by_position]
            answers = scorer.log_ratios([Request(chunk[number], i, found[number][i]) for number, i in places])
            for (number, i), answer in zip(places, answers, strict=True):
                ratios[number][i] = answer
        for number, words in enumerate(chunk):
            columns.add(start + number, words, found[number], ratios[number])
        if progress is not None:
            progress(min(start + _CHUNK, len(texts)), len(texts))
    return columns.table([example.id for example in examples])


class _Columns:
    """Rows as they are found; words by their number in one growing vocabulary."""

    def __init__(self) -> None:
        self._example: list[int] = []
        self._position: list[int] = []
        self._option: list[int] = []
        self._word: list[int] = []
        self._ratio: list[float | None] = []
        self._numbers: dict[str, int] = {}

    def add(self, example: int, words: Sequence[str], substitutes: Mapping[int, Sequence[str]], ratios: Mapping[int, Any]) -> None:
        """One example: its words, each followed by its substitutes."""
        for position, word in enumerate(words):
            options = (word, *substitutes.get(position, ()))
            self._example += [example] * len(options)
            self._position += [position] * len(options)
            self._option += range(len(options))
            self._word += [self._numbers.setdefault(option, len(self._numbers)) for option in options]
            scores = ratios[position].tolist() if position in ratios else [None] * (len(options) - 1)
            self._ratio += [None, *scores]

    def table(self, ids: Sequence[str]) -> pa.Table:
        """The rows as an Arrow table."""
        import pyarrow as pa

        def named(codes: list[int], names: Sequence[str]) -> Any:
            return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))

        return pa.table(
            {
                "id": named(self._example, ids),
                "position": pa.array(self._position, pa.int32()),
                "option": pa.array(self._option, pa.int16()),
                "word": named(self._word, list(self._numbers)),
                "log_ratio": pa.array(self._ratio, pa.float32()),
            }
        )


def _counts(table: pa.Table, examples: int) -> dict[str, int]:
    option = table.column("option").to_numpy()
    return {
        "examples": examples,
        "words": int((option == 0).sum()),
        "positions": int((option == 1).sum()),
        "substitutes": int((option > 0).sum()),
    }


def _write(table: pa.Table, path: Path) -> None:
    """Write whole or not at all."""
    import pyarrow.parquet as pq

    temporary = path.with_name(f".{path.stem[:16]}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    except OSError as error:
        raise RobenchError(
            f"The surface cannot be written to {path}: {error.strerror or error}. Free some space there or name another folder with --out."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
