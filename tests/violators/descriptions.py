"""Defenses that describe themselves or their options wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, field_validator

from robench import Options
from violators.base import Sound, breaks


@breaks("description", "'paper' is no citation")
class Nameless(Sound):
    """Names no source."""

    paper = ""


@breaks("description", "it has no docstring")
class Undocumented(Sound):
    pass


@breaks("description", "each of its deviations must be a sentence")
class Mumbling(Sound):
    """Its deviations are notes and not sentences."""

    deviations = ("other optimiser",)


@breaks("description", "task_defaults names 'imbd', and there is no such task")
class Misspelt(Sound):
    """Has settings for an unknown task."""

    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {"imbd": {"epochs": 3}}


@breaks("description", r"task_defaults\['imdb'\] has no option 'epoch'")
class Forgetful(Sound):
    """Has a setting for an unknown option."""

    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {"imdb": {"epoch": 3}}


@breaks("options", r"its Options do not derive from robench\.TrainingOptions")
class Apart(Sound):
    """Its options lack those of the training loop."""

    class Options(Options):
        strength: float = Field(1.0, ge=0, description="Weight.")


@breaks("options", "option 'strength' has no description")
class Silent(Sound):
    """Has an option without a description."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0)


@breaks("options", "option 'strength' is a number without a range")
class Boundless(Sound):
    """Has a number without a range as option."""

    class Options(Sound.Options):
        strength: float | None = Field(1.0, description="Weight.")


@breaks("options", "its defaults: it broke: ValidationError")
class Outside(Sound):
    """Has a default outside its range."""

    class Options(Sound.Options):
        strength: float = Field(-1.0, ge=0, description="Weight.")


@breaks("options", "option 'strength' takes -1")
class Lenient(Sound):
    """Replaces a wrong value instead of refusing it."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0, description="Weight.")

        @field_validator("strength", mode="before")
        @classmethod
        def _mended(cls, value: Any) -> float:
            return 1.0


@breaks("options", r"option 'strength' breaks at 'many' \(KeyError: 'many'\)")
class Crashing(Sound):
    """Raises a KeyError on a wrong value."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0, description="Weight.")

        @field_validator("strength", mode="before")
        @classmethod
        def _looked_up(cls, value: Any) -> float:
            return {"one": 1.0}[value] if isinstance(value, str) else value


@breaks(
    "options",
    "option 'strength' does not refuse 'many' in one sentence that names it:"
    " .*no number.nthat is all",
)
class Rambling(Sound):
    """Refuses a wrong value in two lines."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0, description="Weight.")

        @field_validator("strength", mode="before")
        @classmethod
        def _explained(cls, value: Any) -> Any:
            if isinstance(value, str):
                raise ValueError("no number\nthat is all there is to say")
            return value


@breaks("options", "option 'no_option_of_any_defense' takes 1")
class Careless(Sound):
    """Accepts unknown options."""

    class Options(Sound.Options):
        model_config = ConfigDict(extra="allow")
