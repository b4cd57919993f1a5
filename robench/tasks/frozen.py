"""The frozen examples: ids by content, and the pick of equally many examples of each label.

The rule (docs/decisions/0001-frozen-1000.md):

1. *Normal form* of a field: every run of Unicode white space becomes one space, and the ends are
   stripped. So line endings, trailing blanks and the columns of a .tsv make no difference between a
   folder, an archive and the hub.
2. *Hash* of an example: the first 16 hex digits of the SHA-256 of the UTF-8 text
   ``json.dumps([task, fields], sort_keys=True, separators=(",", ":"))``, with ``fields`` in normal
   form. The label is not part of it.
3. *Id*: ``"<task>/<hash>"``. The n-th repetition of the same fields in a split also gets
   ``"-<n>"``. Repetitions are counted by label first, then in order of reading.
4. *Pick*: the examples with the smallest ids of each label, in equal numbers. If the number cannot
   be divided, the first labels get one more each. A repetition is never picked, so that no text is
   judged twice. (By ids alone, 10 of IMDB's 1000 would be repetitions.)
5. *Cleaned text*: the normal form with ``<br />`` replaced by a space.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

from robench._base.errors import UsageError
from robench.tasks.example import Example

RawRow = tuple[Mapping[str, str], int]
"""The raw fields of one example, and the index of its label."""

TEST_SIZE = 1000
"""Number of test examples of every evaluation."""


def normal_form(text: str) -> str:
    """Collapse every run of Unicode white space into one space and strip the ends."""
    return " ".join(text.split())


def clean(text: str) -> str:
    """Return the text that a victim reads, made from the publisher's text.

    It is the whole text, with ``<br />`` as a space and white space collapsed. The releases of Jia
    et al. 2019, ASCC and RIFT read only the first line of a file and replace ``<br />`` in the same
    way. No IMDB file has a second line.
    """
    return _cleaned(normal_form(text))


def _cleaned(normal: str) -> str:
    return normal_form(normal.replace("<br />", " ")) if "<br />" in normal else normal


def _normal_fields(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: normal_form(text) for name, text in fields.items()}


def identify(task: str, rows: Iterable[RawRow]) -> list[str]:
    """Return the id of each row, in the order of ``rows``."""
    return _ids(task, ((_normal_fields(fields), label) for fields, label in rows))


def _ids(task: str, normal_rows: Iterable[RawRow]) -> list[str]:
    """Return the ids of rows in normal form."""
    hashes: list[str] = []
    # Hash -> (label, index) of every row with these fields.
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


def make_examples(task: str, rows: Iterable[RawRow]) -> list[Example]:
    """Return examples with cleaned texts, sorted by id.

    The result does not depend on the order of the rows.

    Args:
        task: the task's registered name.
        rows: raw fields and labels of one split, repetitions included.
    """
    normal = [(_normal_fields(fields), label) for fields, label in rows]
    examples = []
    for identity, (fields, label) in zip(_ids(task, normal), normal, strict=True):
        cleaned = {name: _cleaned(text) for name, text in fields.items()}
        examples.append(Example(id=identity, fields=cleaned, label=label))
    return sorted(examples, key=lambda example: example.id)


def pick_balanced(examples: Iterable[Example], total: int, classes: int) -> list[Example]:
    """Pick ``total`` examples, those with the smallest ids of each label, sorted by id.

    The numbers per label are equal. If ``total`` cannot be divided, the first labels have one more
    (1000 over 3 classes: 334, 333, 333). Repetitions (ids with a counter) are never picked.

    Raises:
        UsageError: a label has too few examples.
    """
    ordered = sorted(
        (example for example in examples if not _is_repetition(example)),
        key=lambda example: example.id,
    )
    picked: list[Example] = []
    for label in range(classes):
        quota = total // classes + (label < total % classes)
        mine = [example for example in ordered if example.label == label][:quota]
        if len(mine) < quota:
            raise UsageError(
                f"{quota} examples of label {label} are needed for {total} balanced ones, "
                f"but the data hold only {len(mine)}. Use the complete data."
            )
        picked += mine
    return sorted(picked, key=lambda example: example.id)


def _is_repetition(example: Example) -> bool:
    return "-" in example.id.rpartition("/")[2]


def content_key(example: Example) -> tuple[str, ...]:
    """Return the case-folded texts; examples with equal keys are the same to a reader."""
    return tuple(text.casefold() for text in example.fields.values())


def without(examples: Iterable[Example], *others: Iterable[Example]) -> list[Example]:
    """Return ``examples`` without those whose texts also occur in ``others``.

    Case, white space and labels make no difference.
    """
    barred = {content_key(example) for other in others for example in other}
    return [example for example in examples if content_key(example) not in barred]


def digest(examples: Iterable[Example]) -> str:
    """Return the SHA-256 (hex) over ids, labels and cleaned texts, in the order given."""
    total = hashlib.sha256()
    for example in examples:
        content = [example.id, example.label, dict(example.fields)]
        total.update(json.dumps(content, sort_keys=True).encode() + b"\n")
    return total.hexdigest()
