"""AdvGLUE: the published file, and what its six tasks share (Wang et al. 2021)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

from robench._base.bounded_reading import DOCUMENT, parse_json
from robench._base.errors import UsageError
from robench.tasks import hub
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.frozen import RawRow, make_examples
from robench.tasks.guard import Guard
from robench.tasks.publisher_files import FileLayout, describe_missing, find_files
from robench.tasks.splits import make_splits, pick_listed

HUB = "AI-Secure/adv_glue"
ENTAILMENT = ("entailment", "neutral", "contradiction")

_FILE = re.compile(r"(?:.*/)?adv[-_]?glue[^/]*(?:/dev)?\.json", re.IGNORECASE)
_KEY = "dev.json"


def _key(path: str) -> str | None:
    return _KEY if _FILE.fullmatch(path) else None


def _parse(key: str, stream: IO[bytes]) -> dict[str, list[dict[str, Any]]]:
    content = parse_json(stream.read(), "the file")
    if not isinstance(content, dict) or not all(
        isinstance(rows, list) for rows in content.values()
    ):
        raise ValueError("it is not a JSON object of lists")
    return content


LAYOUT = FileLayout(_key, _parse, hints=("adv", "glue"), limit=DOCUMENT.size)


class AdvGlue(Task):
    """One set of AdvGLUE's dev file: adversarial texts that people checked.

    There is only a test set, so no victim is trained on it. It serves victims of another task with
    the same labels and fields: ``--task sst2 --test advglue-sst2``. Their clean accuracy on it is
    the published figure; further attacks start from texts that are adversarial already.

    Test: all examples of the set.

    Class attributes:
        name: registered name.
        set_name: the set's name in the published file.
        config: the set's name on the hub.
        columns: the published names of the texts, in the order of ``fields``.
        guard: what the set looks like.
    """

    train_pools = ()
    max_tokens = 128
    licence = "CC BY-SA 4.0"
    paper = (
        "Wang et al. 2021, Adversarial GLUE: A multi-task benchmark for robustness evaluation of "
        "language models"
    )
    name: ClassVar[str]
    set_name: ClassVar[str]
    config: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    guard: ClassVar[Guard]

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read ``advglue/dev.json`` from the folder or its archives, or the hub.

        On the hub the dataset is ``AI-Secure/adv_glue``. See ``Task.load``.
        """
        if train_pool is not None:
            raise UsageError(f"Task '{self.name}' has no training pools: leave --train-pool out.")
        rows, origin = self._read(source)
        everything = make_examples(self.name, rows)
        self.guard.check(f"The test examples of {self.name}", everything, rows, origin)
        test = everything if ids is None else pick_listed(ids, everything, {})
        return make_splits([], [], test, pool="none", ids=ids, origin=origin)

    def _read(self, source: DataSource) -> tuple[list[RawRow], str]:
        found = find_files(source.folder, LAYOUT, lambda files: _KEY in files)
        if _KEY in found.files:
            return self._rows(found.files[_KEY].get(self.set_name, ())), found.origin
        place = describe_missing("advglue/dev.json", source.folder)
        if not source.hub:
            raise UsageError(f"{place}. Name the folder that holds AdvGLUE with --data.")
        try:
            names = (*self.columns, "label")
            columns = hub.read_rows(HUB, "validation", names, config=self.config)
            rows = [dict(zip(names, row, strict=True)) for row in columns]
        except hub.HubUnavailable as error:
            raise UsageError(
                f"{place}, and {error.reason}. Name the folder that holds AdvGLUE with --data."
            ) from error
        return self._rows(rows), f"hub {HUB}, {self.config}"

    def _rows(self, published: Sequence[Mapping[str, Any]]) -> list[RawRow]:
        try:
            return [
                (
                    {
                        field: str(row[column])
                        for field, column in zip(self.fields, self.columns, strict=True)
                    },
                    int(row["label"]),
                )
                for row in published
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"The set '{self.set_name}' of AdvGLUE has a row of another form ({error!r}). "
                "Fetch it again."
            ) from error
