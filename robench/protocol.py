"""Protocols: named, frozen sets of evaluation choices, printed on every board.

Two numbers compare only if their protocol is the same, so nothing here is a knob: a new choice is a new name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean


@dataclass(frozen=True, slots=True)
class Protocol:
    """What every attack and defense of one board have in common.

    Attributes:
        name: how boards and records call it.
        tokens: ``"word"`` maps each word to exactly one token (BERT: the whole word or the unknown token; byte-level BPE: the first piece of
            " word"); ``"subword"`` keeps the encoder's own pieces.
        lookup: whether a word is looked up in the substitution set as it is written (``"cased"``, so capitalised words have no substitutes,
            as in the releases of Jia et al. 2019 and RIFT) or lower-cased, the case being restored in the substitute (``"lower"``).
        surface: ``"as-published"`` lets each attack say whether the language-model constraint binds it (Genetic yes, PWWS no);
            ``"constrained"`` puts every attack under it.
        lm_radius: words of original context on each side that the language model sees (Jia et al. 2019, W = 6).
        lm_threshold: nats that a substitute's log-probability may lie below the original word's (Jia et al. 2019: 5).
        pair_segments: whether a pair is told apart by token-type ids (the releases do not).
        summary: one line for people.
    """

    name: str
    tokens: Literal["word", "subword"]
    lookup: Literal["cased", "lower"]
    surface: Literal["as-published", "constrained"]
    lm_radius: int
    lm_threshold: float
    pair_segments: bool
    summary: str


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
            summary="One token a word; case-sensitive substitutions; the language-model constraint binds Genetic and not PWWS (Dong et al. 2021, 3.1).",
        ),
        Protocol(
            name="subword",
            tokens="subword",
            lookup="lower",
            surface="constrained",
            lm_radius=6,
            lm_threshold=5.0,
            pair_segments=True,
            summary="The encoder's own pieces; lower-cased lookup; every attack under the language-model constraint.",
        ),
    )
}
DEFAULT_PROTOCOL = "rift2021"


def get_protocol(name: str) -> Protocol:
    """Return the protocol called ``name``; raises UsageError with the nearest name when there is none."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    raise UsageError(
        f"There is no protocol '{name}'.{did_you_mean(name, PROTOCOLS)} Known: {', '.join(sorted(PROTOCOLS))}."
    )
