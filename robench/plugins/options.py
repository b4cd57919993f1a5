"""Options of plugins.

A plugin declares its options once, as a pydantic model. The command line, the records and
``robench show`` read them from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from robench._base.errors import UsageError
from robench._base.regular_files import RECORD

Selection = Literal["robust", "clean", "last", "paper"]
"""Rules that choose the epoch whose weights become the victim; see ``TrainingOptions.select``."""


class Options(BaseModel):
    """Base class of every plugin's options: frozen, without unknown names, without NaN.

    Give each field a default and a description. A unit goes into
    ``json_schema_extra={"unit": "nats"}``.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class TrainingOptions(Options):
    """The settings of the fine-tuning loop, shared by all defenses (RIFT paper, appendix A.1)."""

    learning_rate: float = Field(
        2e-5, gt=0, description="AdamW's peak learning rate for every parameter."
    )
    epochs: int = Field(
        20,
        ge=1,
        description="Most passes over the training examples.",
        json_schema_extra={"unit": "epochs"},
    )
    batch_size: int = Field(
        32, ge=1, description="Examples per step.", json_schema_extra={"unit": "examples"}
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
        description="Training stops after this many epochs in which neither the choice of "
        "'select' changed nor the best dev accuracy rose. select=last never stops early.",
        json_schema_extra={"unit": "epochs"},
    )
    select: Selection = Field(
        "robust",
        description="The epoch that becomes the victim. robust: the most robust on dev among "
        "those within select_margin of the best clean dev accuracy. clean: the highest clean dev "
        "accuracy. last: the last one. paper: the highest dev accuracy under the convex-hull "
        "attack, whatever the clean accuracy (RIFT, appendix A.1). That attack lowers the margin "
        "here; in RIFT's release it raises the cross-entropy.",
    )
    select_margin: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Clean dev accuracy that select=robust may give up; 0.02 is two points. "
        "none: down to the lower end of the best accuracy's 95 % Wilson interval, because dev "
        "cannot tell such epochs apart.",
    )
    max_gradient_norm: float | None = Field(
        None,
        gt=0,
        description="Clip the global gradient norm at this value; the paper does not clip.",
    )
    dev_examples: int = Field(
        1000,
        ge=1,
        description="Most dev examples (balanced) that select the epoch.",
    )
    train_examples: int | None = Field(
        None,
        ge=1,
        description="Train on this many examples (balanced, those with the smallest ids). "
        "Default: all.",
    )

    @field_validator("select_margin")
    @classmethod
    def _margin_of_robust_only(cls, value: float | None, info: ValidationInfo) -> float | None:
        rule = info.data.get("select")
        if value is not None and rule not in (None, "robust"):
            raise ValueError(
                f"belongs to select=robust, and select is {rule}; leave it out or set it to none"
            )
        return value


AnyOptions = TypeVar("AnyOptions", bound=Options)


def build_options(model: type[AnyOptions], values: Mapping[str, Any], where: str) -> AnyOptions:
    """Make options of the class ``model`` from plain values, and check them.

    Args:
        model: the options class.
        values: option name -> value; strings from the command line or plain data.
        where: what the options belong to, for the error, such as ``"defense 'rift'"``.

    Raises:
        UsageError: an unknown name, a wrong type or a value out of range. The sentence names the
            option and what it takes.
    """
    try:
        made = model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields)) or "none"
            raise UsageError(f"{where} has no option '{name}'. It takes: {known}.") from error
        raise UsageError(
            f"Option '{name}' of {where}: {first['msg'].lower()} (got {first['input']!r})."
        ) from error
    for name, value in made.model_dump().items():
        if isinstance(value, (int, float)) and abs(value) > RECORD.largest:
            raise UsageError(
                f"Option '{name}' of {where}: a record holds numbers up to {RECORD.largest:.0e} "
                f"(got {value!r})."
            )
    return made
