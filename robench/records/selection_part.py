"""How the epoch of a victim was chosen, as its record says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from robench.records.part import RecordPart


class EpochPart(RecordPart):
    """The dev scores of one epoch, in [0, 1].

    Attributes:
        clean: clean accuracy.
        attacked: accuracy under the convex-hull attack; None where nothing was attacked.
    """

    clean: float = Field(ge=0, le=1)
    attacked: float | None = Field(ge=0, le=1)


class SelectionPart(RecordPart):
    """How the epoch of a trained victim was chosen.

    Attributes:
        rule: name of the rule (``TrainingOptions.select``).
        margin: clean dev accuracy that the rule could give up, in [0, 1]; None for a rule without
            a margin.
        kept: the epoch whose weights are the victim's, from 1.
        epochs: the dev scores of all epochs in their order.
    """

    rule: str
    margin: float | None = Field(ge=0, le=1)
    kept: int = Field(ge=1)
    epochs: tuple[EpochPart, ...]

    @model_validator(mode="after")
    def _kept_epoch_exists(self) -> SelectionPart:
        if self.kept > len(self.epochs):
            raise ValueError(f"epoch {self.kept} was kept, but there are {len(self.epochs)} epochs")
        return self

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> SelectionPart | None:
        """Return the part of a victim's card; None where an older robench trained the victim."""
        found = card.get("selection")
        return None if found is None else cls.model_validate_json(json.dumps(found), strict=True)
