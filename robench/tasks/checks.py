"""Check the splits of any task once after loading, so that wrong data give no wrong numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from robench._base.errors import UsageError
from robench.tasks.base import Splits, Task
from robench.tasks.example import Example
from robench.tasks.frozen import content_key, digest


def check_splits(name: str, task: type[Task], splits: Splits, *, training: bool = True) -> None:
    """Check labels, ids, fields and texts of all splits.

    Half a million examples take about a second.

    Args:
        name: the task's name.
        task: the task's class.
        splits: what its ``load`` returned.
        training: whether a victim is trained. Otherwise ``train`` and ``dev`` may be empty.

    Raises:
        UsageError: something is wrong. There is one sentence for each fault, with the number of
            examples and the first of them.
    """
    if training and not task.train_pools:
        raise UsageError(
            f"Task '{name}' has a test set only, so no victim can be trained on it. Name the task "
            f"to train on with --task, and this one with --test {name}."
        )
    faults = list(_faults(task, splits, training))
    if faults:
        raise UsageError(f"The data of task '{name}' cannot be used. {' '.join(faults)}")


def _faults(task: type[Task], splits: Splits, training: bool) -> Iterator[str]:
    parts = {"train": splits.train, "dev": splits.dev, "test": splits.test}
    yield from _label_names(task)
    for part in parts if training else ("test",):
        if not parts[part]:
            yield f"The split '{part}' is empty."
    for part, examples in parts.items():
        yield from _labels(part, examples, len(task.labels))
        yield from _fields(part, examples, _expected_fields(task, parts))
    if training and parts["train"]:
        yield from _labels_of_training(task, parts)
    yield from _ids(parts)
    yield from _overlaps(parts)
    yield from _digest(splits)


def _digest(splits: Splits) -> Iterator[str]:
    """Check the digest of the test examples, which records and keys rest on."""
    # Examples of wrong types have no digest, and their own faults say why.
    try:
        own = digest(splits.test)
    except (TypeError, ValueError):
        return
    if own != splits.digest:
        yield (
            "Its 'digest' is not that of its test examples; 'robench.tasks.frozen.digest' makes it."
        )


def _label_names(task: type[Task]) -> Iterator[str]:
    names = list(task.labels)
    if len(names) < 2:
        shown = ", ".join(map(str, names)) or "none"
        what = "1 label" if len(names) == 1 else f"{len(names)} labels"
        yield f"It has {what} ({shown}); at least two are needed."
    if not all(isinstance(name, str) and name for name in names):
        yield f"The names of its labels must be texts, and they are {names}."
    elif repeated := _repeated(names):
        yield f"Its labels have the name '{repeated[0]}' twice."


def _labels(part: str, examples: Sequence[Example], classes: int) -> Iterator[str]:
    """Check type and range of the labels. A bool is no whole number here."""
    typed = [example for example in examples if type(example.label) is not int]
    if typed:
        yield _say(
            part, typed, "a label that is no whole number (int)", lambda each: repr(each.label)
        )
    outside = [
        example
        for example in examples
        if type(example.label) is int and not 0 <= example.label < classes
    ]
    if outside:
        yield _say(
            part,
            outside,
            f"a label outside 0 … {classes - 1}",
            lambda each: str(each.label),
            _hint_on_range(examples, outside, classes),
        )


def _hint_on_range(examples: Sequence[Example], outside: Sequence[Example], classes: int) -> str:
    if all(example.label == -1 for example in outside):
        return "Label -1 often means 'no label': leave these examples out."
    if len(outside) < len(examples) and {example.label for example in outside} == {classes}:
        return "The labels seem to begin at 1: subtract 1."
    return "A label is an index into the task's labels."


def _expected_fields(task: type[Task], parts: dict[str, Sequence[Example]]) -> tuple[str, ...]:
    """Return the declared fields, or else those of the first example."""
    if task.fields:
        return task.fields
    first = next((example for part in parts.values() for example in part), None)
    found = () if first is None else tuple(first.fields)
    return found if task.attackable in found else (*found, task.attackable)


def _fields(part: str, examples: Sequence[Example], expected: tuple[str, ...]) -> Iterator[str]:
    """Check that every example has the expected fields, in order, with texts in UTF-8."""
    shaped = [example for example in examples if tuple(example.fields) == expected]
    if len(shaped) < len(examples):
        others = [example for example in examples if tuple(example.fields) != expected]
        yield _say(
            part,
            others,
            f"other fields than {', '.join(expected)} (in this order)",
            lambda each: ", ".join(map(str, each.fields)) or "none",
        )
    no_text = [
        example
        for example in shaped
        if not all(isinstance(text, str) for text in example.fields.values())
    ]
    if no_text:
        yield _say(part, no_text, "a field that is no text (str)", _first_wrong_field)
    broken = [example for example in shaped if not _is_encodable(example)]
    if broken:
        yield _say(
            part,
            broken,
            "a text that is no valid Unicode (half of a surrogate pair)",
            lambda each: "",
        )


def _first_wrong_field(example: Example) -> str:
    fields: dict[str, Any] = dict(example.fields)
    return next(
        f"{name} = {text!r}"[:80] for name, text in fields.items() if not isinstance(text, str)
    )


def _is_encodable(example: Example) -> bool:
    for text in example.fields.values():
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                return False
    return True


def _labels_of_training(task: type[Task], parts: dict[str, Sequence[Example]]) -> Iterator[str]:
    """Check that training sees at least two labels, and every label that is judged."""
    seen, judged = (
        Counter(each.label for each in parts[part] if type(each.label) is int)
        for part in ("train", "test")
    )
    if len(seen) < 2:
        yield "All training examples have the same label; two labels are needed."
        return
    for label, name in enumerate(task.labels):
        if judged[label] and not seen[label]:
            number = judged[label]
            what = "1 test example" if number == 1 else f"{number:,} test examples"
            yield f"Label '{name}' has {what} and no training example."


def _ids(parts: dict[str, Sequence[Example]]) -> Iterator[str]:
    """Check that ids are texts of their own, also across splits, and that test is sorted."""
    ids = [example.id for examples in parts.values() for example in examples]
    wrong = [each for each in ids if not isinstance(each, str) or not each]
    if wrong:
        yield f"{len(wrong):,} ids are no texts or empty (the first: {wrong[0]!r})."
        return
    if len(set(ids)) < len(ids):
        repeated = _repeated(ids)
        where = [part for part, each in parts.items() if any(e.id == repeated[0] for e in each)]
        yield (
            f"{len(repeated):,} ids occur more than once, also across splits (the first: "
            f"'{repeated[0]}', in {' and '.join(where)})."
        )
    order = [example.id for example in parts["test"]]
    late = [index for index in range(1, len(order)) if order[index] < order[index - 1]]
    if late:
        yield f"The test examples are not sorted by id (the first: '{order[late[0]]}')."


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _overlaps(parts: dict[str, Sequence[Example]]) -> Iterator[str]:
    """Check that no text of test is in train or dev; case makes no difference."""
    readable = {
        part: [
            each for each in examples if all(isinstance(text, str) for text in each.fields.values())
        ]
        for part, examples in parts.items()
    }
    judged = {content_key(example) for example in readable["test"]}
    for part in ("train", "dev"):
        leaked = [example for example in readable[part] if content_key(example) in judged]
        if leaked:
            yield _say(
                part,
                leaked,
                "a text that is also a test text",
                lambda each: "",
                "Leave them out, for example with robench.without.",
            )


def _say(
    part: str,
    examples: Sequence[Example],
    what: str,
    detail: Callable[[Example], str],
    hint: str = "",
) -> str:
    """Return the sentence of one fault, with the number of examples and the first of them."""
    shown = detail(examples[0])
    first = f"{examples[0].id}{': ' if shown else ''}{shown}"
    has = "example has" if len(examples) == 1 else "examples have"
    sentence = f"{len(examples):,} {part} {has} {what} (the first: {first})."
    return f"{sentence} {hint}" if hint else sentence
