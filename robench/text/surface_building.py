"""Build surfaces once, hash them and store them; ``surface.py`` says what a surface is.

An example's part of a surface depends on that example alone, so that a run with ``--limit`` and a
full run, which share their trials, attack the same space. Two rules ensure this:

* Each example is scored by itself. The last bits of a forward pass depend on the shape of the
  batch, so no batch holds rows of two examples.
* Ratios are rounded to 1e-4 nats, far below any meaningful threshold. Differences that remain
  (another number of threads, another processor) therefore rarely show.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from robench._base.code_hash import source_sha256
from robench._base.errors import RobenchError, first_line
from robench._base.files import atomic_file
from robench._base.key_code import SURFACE_CODE
from robench._base.seals import BLANK, MARK, seal_file
from robench.protocol import Protocol
from robench.tasks.example import Example
from robench.text.scorer import Ratios, ScoreCoverage, Scorer, ScoringRequest
from robench.text.sources import SubstituteSource
from robench.text.surface import METADATA, SEAL, Surface, read
from robench.text.words import split_words, splitter_version

if TYPE_CHECKING:
    import pyarrow as pa

ProgressCallback = Callable[[int, int], None]

logger = logging.getLogger(__name__)
_DECIMALS = 4


@dataclass(frozen=True)
class SurfaceRequest:
    """Everything that decides a surface.

    Attributes:
        examples: the examples whose words may be replaced.
        attackable: the field of those words.
        task: name of the task, for the key.
        digest: digest of the examples' split, for the key.
        substitutions: the substitution set, or another source of substitutes.
        protocol: its ``lookup`` and its ``lm_radius`` are used.
        scorer: the language model. None leaves the constraint without effect, and
            ``Surface.meta`` says so.
        max_words: words from this index on get no substitutes, because they lie outside every
            victim's window.
    """

    examples: Sequence[Example]
    attackable: str
    task: str
    digest: str
    substitutions: SubstituteSource
    protocol: Protocol
    scorer: Scorer | None
    max_words: int

    @cached_property
    def ingredients(self) -> Mapping[str, Any]:
        """Everything that the key depends on, as plain JSON."""
        # The split's digest names the whole split. A run with --limit has fewer examples, so their
        # own texts belong to the key as well.
        texts = json.dumps(
            [(example.id, example.fields[self.attackable]) for example in self.examples]
        )
        return {
            "code": source_sha256(*SURFACE_CODE),
            "task": self.task,
            "digest": self.digest,
            "attackable": self.attackable,
            "texts": hashlib.sha256(texts.encode()).hexdigest(),
            "substitutions": self.substitutions.sha256,
            "lookup": self.protocol.lookup,
            "radius": self.protocol.lm_radius,
            "scorer": "none" if self.scorer is None else self.scorer.identity,
            "splitter": splitter_version(),
            "max_words": self.max_words,
        }

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) of ``ingredients``: the surface's key."""
        return hashlib.sha256(json.dumps(self.ingredients, sort_keys=True).encode()).hexdigest()

    def path(self, folder: Path) -> Path:
        """Return the path of the surface in ``folder``."""
        return folder / f"{self.key}.parquet"


def load_or_build(
    folder: Path, request: SurfaceRequest, progress: ProgressCallback | None = None
) -> Surface:
    """Return the surface that ``request`` describes: read from ``folder``, or built and written.

    Args:
        folder: folder of surfaces; created if it does not exist.
        request: what decides the surface.
        progress: called with (examples done, all examples).

    Raises:
        UsageError: the scorer cannot answer for these examples.
        RobenchError: the file cannot be written.
    """
    path = request.path(folder)
    if path.exists():
        try:
            return read(path, request.key)
        except (OSError, ValueError, KeyError, AttributeError) as error:
            logger.warning(
                "The surface %s cannot be used (%s: %s) and is built again.",
                path,
                type(error).__name__,
                first_line(error),
            )
    table = _described(request, progress)
    _write(table, path)
    return Surface(table)


def build_surface(request: SurfaceRequest) -> Surface:
    """Return the surface that ``request`` describes, without a file.

    Raises:
        UsageError: the scorer cannot answer for these examples.
    """
    return Surface(_described(request, None))


def _described(request: SurfaceRequest, progress: ProgressCallback | None) -> pa.Table:
    """Return the table of a surface with its description."""
    table, coverage = _build(request, progress)
    ids = [example.id for example in request.examples]
    description = {
        "key": request.key,
        "made_from": request.ingredients,
        "counts": _counts(table, len(ids)),
        "scores": None if coverage is None else asdict(coverage),
        "ids": ids,
    }
    return table.replace_schema_metadata(
        {METADATA: json.dumps(description, sort_keys=True).encode()}
    )


def _build(
    request: SurfaceRequest, progress: ProgressCallback | None
) -> tuple[pa.Table, ScoreCoverage | None]:
    """Return the table, and what a file of scores knows of it."""
    texts = _SplitTexts([example.fields[request.attackable] for example in request.examples])
    if request.scorer is not None:
        request.scorer.check(texts)
    columns, coverage = _Columns(), None
    for number, words in enumerate(texts):
        substitutes = request.substitutions.of_text(
            words, request.protocol.lookup, request.max_words
        )
        ratios: dict[int, Ratios] = {}
        if request.scorer is not None:
            ratios, found = _scored(request.scorer, words, substitutes)
            coverage = found if coverage is None or found is None else coverage + found
        columns.add(number, words, substitutes, ratios)
        if progress is not None:
            progress(number + 1, len(texts))
    return columns.table([example.id for example in request.examples]), coverage


def _scored(
    scorer: Scorer, words: tuple[str, ...], found: Mapping[int, tuple[str, ...]]
) -> tuple[dict[int, Ratios], ScoreCoverage | None]:
    """Return position -> rounded ratios of its substitutes, and what was known, for one text."""
    requests = [
        ScoringRequest(words, position, substitutes) for position, substitutes in found.items()
    ]
    rounded = {
        position: answer.astype(np.float64).round(_DECIMALS).astype(np.float32)
        for position, answer in zip(found, scorer.log_ratios(requests), strict=True)
    }
    return rounded, scorer.coverage(words, requests)


class _SplitTexts(Sequence[tuple[str, ...]]):
    """The words of texts. Each text is split when it is asked for, and only once.

    So other processes score texts while this one splits the next.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._words: dict[int, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> tuple[str, ...]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, ...]]: ...

    def __getitem__(self, index: int | slice) -> tuple[str, ...] | list[tuple[str, ...]]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if number not in self._words:
            self._words[number] = tuple(split_words(self._texts[number]))
        return self._words[number]


class _Columns:
    """The columns of a surface while it is built; a word is a number in a growing vocabulary."""

    def __init__(self) -> None:
        self._example: list[int] = []
        self._position: list[int] = []
        self._option: list[int] = []
        self._word: list[int] = []
        self._ratio: list[float | None] = []
        self._numbers: dict[str, int] = {}

    def add(
        self,
        example: int,
        words: Sequence[str],
        substitutes: Mapping[int, Sequence[str]],
        ratios: Mapping[int, Ratios],
    ) -> None:
        """Add one example: its words, each followed by its substitutes."""
        for position, word in enumerate(words):
            options = (word, *substitutes.get(position, ()))
            self._example += [example] * len(options)
            self._position += [position] * len(options)
            self._option += range(len(options))
            self._word += [
                self._numbers.setdefault(option, len(self._numbers)) for option in options
            ]
            scores = (
                ratios[position].tolist() if position in ratios else [None] * (len(options) - 1)
            )
            self._ratio += [None, *scores]

    def table(self, ids: Sequence[str]) -> pa.Table:
        """Return the columns as an Arrow table."""
        import pyarrow as pa

        def named(codes: list[int], names: Sequence[str]) -> Any:
            return pa.DictionaryArray.from_arrays(
                pa.array(codes, pa.int32()), pa.array(names, pa.string())
            )

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
    """Write the whole file or nothing."""
    import pyarrow.parquet as pq

    try:
        with atomic_file(path) as temporary:
            pq.write_table(_with_room_for_seal(table), temporary, compression="zstd")
            seal_file(temporary)
    except OSError as error:
        raise RobenchError(
            f"The surface cannot be written to {path}: {error.strerror or error}. "
            "Free some space there or name another folder with --out."
        ) from error


def _with_room_for_seal(table: pa.Table) -> pa.Table:
    """Return the table with a blank seal, as the last part of its metadata."""
    return table.replace_schema_metadata({**table.schema.metadata, SEAL: MARK + BLANK})
