"""Which examples are judged: ids by content, the smallest ids of each label, and a guard that says when the data are other data.

The rule (docs/decisions/0001-frozen-1000.md):

1. *Normal form* of a field: every run of Unicode white space becomes one space, the ends are stripped. So line endings, trailing blanks and the
   columns of a .tsv make no difference between a folder, an archive and the hub.
2. *Hash* of an example: the first 16 hex digits of the SHA-256 of the UTF-8 text ``json.dumps([task, fields], sort_keys=True, separators=(",", ":"))``,
   ``fields`` in normal form. The label is no part of it.
3. *Id*: ``"<task>/<hash>"``; the n-th repetition of the same fields in a split gets ``"-<n>"``, counted by label, then in order of reading.
4. *Pick*: of each label the examples with the smallest ids, in equal numbers; what does not divide goes one each to the first labels. A
   repetition is never picked: no text is judged twice (by ids alone 10 of IMDB's 1000 would be).
5. *Cleaned text* is the normal form with ``<br />`` replaced by a space.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench.errors import UsageError
from robench.tasks.base import Example, Splits

Row = tuple[Mapping[str, str], int]
"""Raw fields and the label's index."""

TEST_SIZE = 1000
"""Examples of every evaluation."""

_BLOCK = 20


def normal_form(text: str) -> str:
    """Collapse every run of Unicode white space into one space and strip the ends."""
    return " ".join(text.split())


def clean(text: str) -> str:
    """The text that a victim reads, from the publisher's: the whole text, ``<br />`` as a space, white space collapsed.

    The releases of Jia et al. 2019, ASCC and RIFT read a file's first line and replace ``<br />`` likewise; no IMDB file has a second line.
    """
    return _cleaned(normal_form(text))


def _cleaned(normal: str) -> str:
    return normal_form(normal.replace("<br />", " ")) if "<br />" in normal else normal


def _normal_fields(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: normal_form(text) for name, text in fields.items()}


def identify(task: str, rows: Iterable[Row]) -> list[str]:
    """The id of each row, aligned with ``rows``."""
    return _ids(task, ((_normal_fields(fields), label) for fields, label in rows))


def _ids(task: str, normal_rows: Iterable[Row]) -> list[str]:
    hashes: list[str] = []
    same: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, (fields, label) in enumerate(normal_rows):
        content = json.dumps([task, fields], sort_keys=True, separators=(",", ":"))
        hashes.append(hashlib.sha256(content.encode()).hexdigest()[:16])
        same[hashes[-1]].append((label, index))
    ids = [f"{task}/{hashed}" for hashed in hashes]
    for places in same.values():
        for repetition, (_, index) in enumerate(sorted(places)):
            if repetition:
                ids[index] += f"-{repetition}"
    return ids


def make_examples(task: str, rows: Iterable[Row]) -> list[Example]:
    """Examples with cleaned texts, sorted by id: the same list in whatever order the rows were read.

    Args:
        task: the task's registered name.
        rows: raw fields and labels of one split, repetitions included.
    """
    normal = [(_normal_fields(fields), label) for fields, label in rows]
    examples = [
        Example(id=identity, fields={name: _cleaned(text) for name, text in fields.items()}, label=label)
        for identity, (fields, label) in zip(_ids(task, normal), normal, strict=True)
    ]
    return sorted(examples, key=lambda example: example.id)


def pick_balanced(examples: Iterable[Example], total: int, classes: int) -> list[Example]:
    """``total`` examples, of each label those with the smallest ids, sorted by id; repetitions (ids with a counter) are never picked.

    The numbers per label are equal; where ``total`` does not divide, the first labels have one more (1000 over 3 classes: 334, 333, 333).

    Raises:
        UsageError: a label has too few examples.
    """
    ordered = sorted((example for example in examples if not _is_repetition(example)), key=lambda example: example.id)
    picked: list[Example] = []
    for label in range(classes):
        quota = total // classes + (label < total % classes)
        mine = [example for example in ordered if example.label == label][:quota]
        if len(mine) < quota:
            raise UsageError(
                f"{quota} examples of label {label} are needed for {total} balanced ones, but the data hold only {len(mine)}. Use the complete data."
            )
        picked += mine
    return sorted(picked, key=lambda example: example.id)


def _is_repetition(example: Example) -> bool:
    return "-" in example.id.rpartition("/")[2]


def content_key(example: Example) -> tuple[str, ...]:
    """The cleaned texts without their case: two examples with one key are the same to a reader."""
    return tuple(text.casefold() for text in example.fields.values())


def without(examples: Iterable[Example], *others: Iterable[Example]) -> list[Example]:
    """``examples`` less those whose texts (case folded, white space collapsed) stand in any of ``others``, whatever their label."""
    barred = {content_key(example) for other in others for example in other}
    return [example for example in examples if content_key(example) not in barred]


def digest(examples: Iterable[Example]) -> str:
    """SHA-256 (hex) over ids, labels and cleaned texts in the order given."""
    total = hashlib.sha256()
    for example in examples:
        total.update(json.dumps([example.id, example.label, dict(example.fields)], sort_keys=True).encode() + b"\n")
    return total.hexdigest()


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
    def of(cls, picked: Sequence[Example], rows: Sequence[Row]) -> Guard:
        """The guard of these examples, picked from these rows."""
        counts = Counter(label for _, label in rows)
        blocks = "".join(digest(picked[start : start + _BLOCK])[:2] for start in range(0, len(picked), _BLOCK))
        return cls(tuple(counts[label] for label in range(max(counts, default=-1) + 1)), digest(picked), blocks)

    def pick(self, what: str, examples: Iterable[Example], size: int, rows: Sequence[Row], origin: str) -> list[Example]:
        """``pick_balanced`` and ``check`` in one: ``size`` of ``examples``, or a UsageError from either; see there for the arguments."""
        picked = pick_balanced(examples, size, len(self.rows))
        self.check(what, picked, rows, origin)
        return picked

    def check(self, what: str, picked: Sequence[Example], rows: Sequence[Row], origin: str) -> None:
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
            differs += [f"digest {found.digest[:16]} instead of {self.digest[:16]}", self._first_difference(found, picked)]
        raise UsageError(
            f"{what} come from other data than the published ones: {'; '.join(differs)}. "
            f"What was read ({origin}) is incomplete or another version: fetch it again."
        )

    def _first_difference(self, found: Guard, picked: Sequence[Example]) -> str:
        places = range(0, len(self.blocks), 2)
        start = next((at for at in places if found.blocks[at : at + 2] != self.blocks[at : at + 2]), len(self.blocks))
        block = picked[start // 2 * _BLOCK :][:_BLOCK]
        return f"the first difference lies between the ids {block[0].id} and {block[-1].id}" if block else f"{len(picked)} were picked"


def _counts(rows: Sequence[int]) -> str:
    return " + ".join(f"{count:,}" for count in rows) or "0"


def make_splits(train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example], *, pool: str, ids: Path | None, origin: str) -> Splits:
    """What a task hands out.

    Args:
        pool: the training pool.
        ids: file whose list ``test`` follows; None where it was picked by the rule.
        origin: where the data were found.
    """
    test_name = f"frozen-{len(test)}" if ids is None else ids.stem
    return Splits(train=train, dev=dev, test=test, train_pool=pool, test_name=test_name, digest=digest(test), origin=origin)


def pick_listed(path: Path, examples: Sequence[Example], names: Mapping[str, str], canonical: Callable[[str], str] = str) -> list[Example]:
    """The examples that a published list names, sorted by id: all of its lines, or the first 1000 of a longer list.

    Args:
        path: text file, one example a line: our own id, or the publisher's name. Blank lines do not count.
        names: publisher's name -> id; empty where the data have no names (the hub).
        canonical: brings a line into the form of ``names``.

    Raises:
        UsageError: no such file, an empty one, a line that names nothing or the same example as another line.
    """
    by_id = {example.id: example for example in examples}
    picked: dict[str, Example] = {}
    for number, line in _lines(path):
        identity = line if line in by_id else names.get(canonical(line), "")
        if identity not in by_id:
            hint = "" if names else " These data came without file names (the hub's have none), so only ids are known."
            raise UsageError(f"Line {number} of {path} ('{line[:80]}') names no test example.{hint}")
        if identity in picked:
            raise UsageError(f"Line {number} of {path} ('{line[:80]}') names an example for the second time. Remove one of the two lines.")
        picked[identity] = by_id[identity]
    if not picked:
        raise UsageError(f"The list {path} is empty. It takes one id or file name a line.")
    return sorted(picked.values(), key=lambda example: example.id)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"The list of ids {path} cannot be read: {reason}.") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()][:TEST_SIZE]
