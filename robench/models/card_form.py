"""The form of a victim's card: which keys ``victim.json`` has, and the types of their values.

The types are strict, because a card may come from a stranger: true is no 1, and "20" is no 20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

_Name = Annotated[str, Field(max_length=10_000)]
_Count = Annotated[int, Field(ge=0, le=10**12)]
_Share = Annotated[float, Field(ge=0, le=1)]


class CardForm(BaseModel):
    """The keys of a card that robench reads. Other keys are allowed, and nothing reads them.

    A key with a default is absent from cards of older versions, and from those of victims that
    were not made by ``robench train``.
    """

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    name: _Name
    task: _Name
    labels: list[_Name] = Field(min_length=1)
    attackable: _Name
    fields: list[_Name] = Field(min_length=1)
    max_tokens: int = Field(ge=1, le=10**9)
    protocol: _Name
    hidden: int = Field(ge=1, le=10**6)
    sha256: _Name
    files: dict[str, _Name]
    key: _Name | None = None
    encoder: _Name | None = None
    seed: int | None = None
    substitutions: _Name | None = None
    ingredients: dict[str, JsonValue] = Field(default_factory=dict)
    selection: dict[str, JsonValue] | None = None
    train_examples: _Count | None = None
    dev_examples: _Count | None = None
    selected_epoch: _Count | None = None
    dev_accuracy: _Share | None = None
    dev_hull_accuracy: _Share | None = None


REQUIRED = frozenset(name for name, field in CardForm.model_fields.items() if field.is_required())
"""Keys that every card has."""


def fault_of(card: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the values of a card that has all ``REQUIRED`` keys, or None."""
    try:
        CardForm.model_validate_json(json.dumps(card))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        return f"'{where}': {first['msg'].lower()}"
    return None
