"""Match a model's labels to a task's labels by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from robench._base.errors import UsageError

_SEPARATORS = re.compile(r"[\s_-]+")


def match_labels(
    model: str,
    model_labels: Sequence[str],
    task_labels: Sequence[str],
    label_map: Mapping[str, str],
) -> tuple[int, ...]:
    """Return the number of the model's label for each of the task's labels.

    A name that is written the same way comes first. Other names are equal whatever their case is;
    blanks, underscores and hyphens are the same. Nothing else is guessed: the user maps other
    names, and those that would fit several labels.

    Args:
        model: the model's name, for the sentences.
        model_labels: the model's names, in the order of its logits.
        task_labels: the task's names.
        label_map: the model's name -> the task's name, for names that differ.

    Raises:
        UsageError: the numbers differ, a name has no partner, or two names mean one label.
    """
    lists = f"The model has {_listed(model_labels)}; the task has {_listed(task_labels)}."
    if len(model_labels) != len(task_labels):
        raise UsageError(
            f"The labels of '{model}' do not match the task: "
            f"{len(model_labels)} labels against {len(task_labels)}. {lists}"
        )
    meant = _mapped(model, model_labels, task_labels, label_map, lists)
    partners = _partners([meant.get(name, name) for name in model_labels], task_labels)
    _check_all_named(model, model_labels, task_labels, partners, lists)
    seen: dict[int, str] = {}
    for name, partner in zip(model_labels, partners, strict=True):
        assert partner is not None  # see _check_all_named
        if partner in seen:
            raise UsageError(
                f"Two labels of '{model}', '{seen[partner]}' and '{name}', mean "
                f"'{task_labels[partner]}'. {lists} Correct --label-map."
            )
        seen[partner] = name
    return tuple(partners.index(number) for number in range(len(task_labels)))


def _mapped(
    model: str,
    model_labels: Sequence[str],
    task_labels: Sequence[str],
    label_map: Mapping[str, str],
    lists: str,
) -> dict[str, str]:
    """Return the map with the model's own spelling of its names."""
    meant: dict[str, str] = {}
    for name, target in label_map.items():
        spelled, wanted = _called(name, model_labels), _called(target, task_labels)
        for owner, part, found in ((f"'{model}'", name, spelled), ("the task", target, wanted)):
            if len(found) != 1:
                labels = f"several labels like '{part}'" if found else f"no label '{part}'"
                raise UsageError(f"--label-map {name}={target}: {owner} has {labels}. {lists}")
        meant[model_labels[spelled[0]]] = task_labels[wanted[0]]
    return meant


def _called(name: str, labels: Sequence[str]) -> list[int]:
    """Return the number of the label ``name``, or else of all labels that are equal to it."""
    exact = [number for number, label in enumerate(labels) if label == name]
    return exact or [
        number for number, label in enumerate(labels) if _normal(label) == _normal(name)
    ]


def _partners(names: Sequence[str], task_labels: Sequence[str]) -> list[int | None]:
    """Return the number of each name's label in the task, or None without a sure one."""
    taken = {number for number, label in enumerate(task_labels) if label in names}
    partners: list[int | None] = []
    for name in names:
        found = _called(name, task_labels)
        # A label whose exact name is there is left to that name, if another one fits as well.
        free = [number for number in found if number not in taken] or found
        partners.append(free[0] if len(free) == 1 else None)
    return partners


def _check_all_named(
    model: str,
    model_labels: Sequence[str],
    task_labels: Sequence[str],
    partners: Sequence[int | None],
    lists: str,
) -> None:
    pairs = list(zip(model_labels, partners, strict=True))
    alone = [name for name, partner in pairs if partner is None]
    if not alone:
        return
    # A map that could be pasted would be a guess by position, and often the wrong one.
    options = " ".join(f"--label-map {_quoted(f'{name}=?')}" for name in alone)
    raise UsageError(
        f"No label of the task is called {_listed(alone)} as in '{model}', and robench does not "
        f"guess. {lists} Say what each means, with the task's names for the question marks: "
        f"{options}"
    )


def _normal(name: str) -> str:
    return _SEPARATORS.sub(" ", name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"\s", value) else value
