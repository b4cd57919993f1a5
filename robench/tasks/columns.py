"""What the user says about data of their own: columns, files and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

HUB_PREFIX = "hf:"
"""Begins the name of a task that is a dataset of the hub."""


@dataclass(frozen=True, slots=True)
class DataColumns:
    """What is said about a task that is a file or a hub dataset. None means: guess, and say so.

    Attributes:
        text: column of the text, or of the first text of a pair.
        pair: column of the second text.
        label: column of the label.
        attack: column whose words may be replaced.
        train_file: file of the training examples.
        dev_file: file of the dev examples.
        test_file: file of the test examples.
        substitutions: name or path of the substitution set.
        max_tokens: window in tokens.
        labels: the labels that must be used, in their order; the file may hold fewer of them.
            ``()`` takes the labels of the data.
        fields: names that the fields get, in order; ``()`` uses ``"text"``, or for pairs the
            names of the columns.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    attack: str | None = None
    train_file: Path | None = None
    dev_file: Path | None = None
    test_file: Path | None = None
    substitutions: str | None = None
    max_tokens: int | None = None
    labels: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> DataColumns:
        """Return what options say, by their names such as ``"text_column"``; others are ignored."""
        said: dict[str, Any] = {field: values.get(name) for field, name in _options().items()}
        return cls(**said)

    @property
    def given(self) -> list[str]:
        """Return the options that were given, as they are typed, such as ``"--text-column"``."""
        return [
            "--" + option.replace("_", "-")
            for field, option in _options().items()
            if getattr(self, field) is not None
        ]


def _options() -> dict[str, str]:
    """Return field -> the option about it; no option is about the labels and the fields."""
    names = {name: f"{name}_column" for name in ("text", "pair", "label", "attack")}
    own = (field.name for field in fields(DataColumns))
    return {name: names.get(name, name) for name in own if name not in {"labels", "fields"}}
