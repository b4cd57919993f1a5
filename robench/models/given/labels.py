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

    Names are equal whatever their case is; blanks, underscores and hyphens are the same. Nothing
    else is guessed: the user maps other names.

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
    by_name = {_normal(name): number for number, name in enumerate(task_labels)}
    meant = _mapped(model, model_labels, by_name, label_map, lists)
    partners = [by_name.get(_normal(meant.get(name, name))) for name in model_labels]
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
    by_name: Mapping[str, int],
    label_map: Mapping[str, str],
    lists: str,
) -> dict[str, str]:
    """Return the map with the model's own spelling of its names."""
    own = {_normal(name): name for name in model_labels}
    meant: dict[str, str] = {}
    for name, target in label_map.items():
        spelled = name if name in model_labels else own.get(_normal(name))
        if spelled is None:
            raise UsageError(
                f"--label-map {name}={target}: '{model}' has no label '{name}'. {lists}"
            )
        if _normal(target) not in by_name:
            raise UsageError(
                f"--label-map {name}={target}: the task has no label '{target}'. {lists}"
            )
        meant[spelled] = target
    return meant


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
    free = [name for number, name in enumerate(task_labels) if number not in partners]
    options = " ".join(
        f"--label-map {_quoted(f'{name}={target}')}"
        for name, target in zip(alone, [*free, *["?"] * len(alone)], strict=False)
    )
    raise UsageError(
        f"No label of the task is called {_listed(alone)} as in '{model}', and robench does not "
        f"guess. {lists} Say what each means, for example: {options}"
    )


def _normal(name: str) -> str:
    return _SEPARATORS.sub(" ", name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"\s", value) else value
