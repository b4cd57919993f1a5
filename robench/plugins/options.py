"""Options of plugins: declared once as a pydantic model, read by the command line, the records and ``robench show``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robench._base.errors import UsageError


class Options(BaseModel):
    """Base of every plugin's options: frozen, no unknown names, no NaN.

    Give each field a default and a description; a unit goes into ``json_schema_extra={"unit": "nats"}``.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class TrainingOptions(Options):
    """What every defense shares: the fine-tuning loop's own settings (RIFT paper, appendix A.1)."""

    learning_rate: float = Field(
        2e-5, gt=0, description="AdamW's peak learning rate for every parameter."
    )
    epochs: int = Field(
        20,
        ge=1,
        description="Passes over the training examples at most.",
        json_schema_extra={"unit": "epochs"},
    )
    batch_size: int = Field(
        32, ge=1, description="Examples a step.", json_schema_extra={"unit": "examples"}
    )
    head_weight_decay: float = Field(
        2e-4,
        ge=0,
        description="AdamW's weight decay on the task-specific layers; the encoder has none.",
    )
    warmup_fraction: float = Field(
        0.06,
        ge=0,
        lt=1,
        description="Share of all steps over which the learning rate rises linearly.",
    )
    patience: int = Field(
        20,
        ge=1,
        description="Epochs without a better dev score before training stops.",
        json_schema_extra={"unit": "epochs"},
    )
    max_gradient_norm: float | None = Field(
        None, gt=0, description="Clip the global gradient norm here; none in the paper."
    )
    dev_examples: int = Field(
        1000,
        ge=1,
        description="Dev examples at most (balanced) that select the epoch by accuracy under the convex-hull attack.",
    )
    train_examples: int | None = Field(
        None,
        ge=1,
        description="Train on this many examples (balanced, those with the smallest ids); all unless given.",
    )


AnyOptions = TypeVar("AnyOptions", bound=Options)


def build_options(model: type[AnyOptions], values: Mapping[str, Any], where: str) -> AnyOptions:
    """Check ``values`` (strings from the command line or plain data) against ``model``.

    Args:
        where: what the options belong to, for the sentence, such as ``"defense 'rift'"``.

    Raises:
        UsageError: an unknown name, a wrong type or a value out of range; the sentence names the option and what it takes.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields)) or "none"
            raise UsageError(f"{where} has no option '{name}'. It takes: {known}.") from error
        raise UsageError(
            f"Option '{name}' of {where}: {first['msg'].lower()} (got {first['input']!r})."
        ) from error
