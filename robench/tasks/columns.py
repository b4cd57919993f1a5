"""What the user says about data of their own: columns, files and settings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

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

    @property
    def given(self) -> list[str]:
        """Return the options that were given, as they are typed, such as ``"--text-column"``."""
        names = {name: f"--{name}-column" for name in ("text", "pair", "label", "attack")}
        return [
            names.get(field.name, "--" + field.name.replace("_", "-"))
            for field in fields(self)
            if field.name not in {"labels", "fields"} and getattr(self, field.name) is not None
        ]
