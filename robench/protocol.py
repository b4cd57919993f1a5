"""Protocols: named, frozen sets of evaluation choices, printed on every board.

Two results can be compared only if their protocol is the same. So none of these choices is an
option: another choice needs another protocol name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean

Unknown = Literal["allowed", "forbidden"]
"""Whether a substitute may be one that the victim reads as its unknown token."""
Temperature = Literal["none", "dev"]
"""Whether the victim's logits are divided by a temperature that is fitted on the dev split."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """The choices that every attack and defense of one board share.

    ``unknown`` and ``temperature`` are choices of the evaluation alone: they change no training. A
    protocol with other values than the usual ones has them in its name, for example
    ``"rift2021(unknown=forbidden)"``.

    Attributes:
        name: the name on boards and in records.
        tokens: ``"word"`` maps each word to exactly one token. With BERT this is the whole word or
            the unknown token; with byte-level BPE it is the first piece of " word". ``"subword"``
            keeps the encoder's own pieces.
        lookup: how a word is looked up in the substitution set. ``"cased"`` takes it as it is
            written, so capitalised words have no substitutes, as in the releases of Jia et al. 2019
            and RIFT. ``"lower"`` lower-cases it and restores the case in the substitute.
        surface: ``"as-published"`` lets each attack say whether the language-model constraint binds
            it (Genetic: yes, PWWS: no). ``"constrained"`` binds every attack.
        lm_radius: words of original context that the language model sees on each side
            (Jia et al. 2019, W = 6).
        lm_threshold: how far a substitute's log-probability may lie below that of the original
            word, in nats (Jia et al. 2019: 5).
        pair_segments: whether token-type ids mark the two texts of a pair (the releases do not).
        summary: one line for readers.
        unknown: ``"forbidden"`` removes, for each victim, the substitutes that it reads as its
            unknown token.
        temperature: ``"dev"`` divides the logits of the search by the temperature that fits the
            dev split best. No prediction changes.
    """

    name: str
    tokens: Literal["word", "subword"]
    lookup: Literal["cased", "lower"]
    surface: Literal["as-published", "constrained"]
    lm_radius: int
    lm_threshold: float
    pair_segments: bool
    summary: str
    unknown: Unknown = "allowed"
    temperature: Temperature = "none"

    @property
    def base(self) -> Protocol:
        """The named protocol with the usual choices of the evaluation; victims train under it."""
        return self.choosing()

    def choosing(self, unknown: Unknown = "allowed", temperature: Temperature = "none") -> Protocol:
        """Return this protocol with these choices of the evaluation; the name says those made."""
        chosen = {"unknown": unknown, "temperature": temperature}
        made = [f"{name}={value}" for name, value in chosen.items() if value != _USUAL[name]]
        name = self.name.partition("(")[0] + (f"({', '.join(made)})" if made else "")
        return replace(self, name=name, unknown=unknown, temperature=temperature)


_CHOICES = {"unknown": get_args(Unknown), "temperature": get_args(Temperature)}
"""Choice of the evaluation -> its values, the usual one first."""
_USUAL = {name: values[0] for name, values in _CHOICES.items()}
_VARIANT = re.compile(r"([^()]+)\(([^()]*)\)")


# The summaries are part of every record, so their words do not change.
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="rift2021",
            tokens="word",
            lookup="cased",
            surface="as-published",
            lm_radius=6,
            lm_threshold=5.0,
            pair_segments=False,
            summary=(
                "One token a word; case-sensitive substitutions; the language-model constraint "
                "binds Genetic and not PWWS (Dong et al. 2021, 3.1)."
            ),
        ),
        Protocol(
            name="subword",
            tokens="subword",
            lookup="lower",
            surface="constrained",
            lm_radius=6,
            lm_threshold=5.0,
            pair_segments=True,
            summary=(
                "The encoder's own pieces; lower-cased lookup; "
                "every attack under the language-model constraint."
            ),
        ),
    )
}
DEFAULT_PROTOCOL = "rift2021"


def get_protocol(name: str) -> Protocol:
    """Return the protocol called ``name``, such as ``"rift2021(unknown=forbidden)"``.

    Raises:
        UsageError: there is no such protocol, or no such choice; the sentence suggests the nearest
            name.
    """
    variant = _VARIANT.fullmatch(name)
    base, choices = (name, "") if variant is None else (variant[1].strip(), variant[2])
    if base not in PROTOCOLS:
        raise UsageError(
            f"There is no protocol '{name}'.{did_you_mean(base, PROTOCOLS)} "
            f"Known: {', '.join(sorted(PROTOCOLS))}."
        )
    wanted = _parse_choices(name, (each for each in choices.split(",") if each.strip()))
    return PROTOCOLS[base].choosing(**wanted)  # type: ignore[arg-type]


def _parse_choices(name: str, choices: Iterable[str]) -> dict[str, str]:
    """Return choice -> value, from texts such as ``"unknown=forbidden"``."""
    wanted: dict[str, str] = {}
    for choice in choices:
        key, _, value = (part.strip() for part in choice.partition("="))
        if value not in _CHOICES.get(key, ()):
            known = "; ".join(f"{one}={'|'.join(values)}" for one, values in _CHOICES.items())
            raise UsageError(
                f"Protocol '{name}' has no choice '{choice.strip()}'. The choices are: {known}."
            )
        wanted[key] = value
    return wanted
