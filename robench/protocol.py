"""Protocols: named, frozen sets of evaluation choices, printed on every board.

Two results can be compared only if their protocol is the same. So none of these choices is an
option: another choice needs another protocol name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean


@dataclass(frozen=True, slots=True)
class Protocol:
    """The choices that every attack and defense of one board share.

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
    """

    name: str
    tokens: Literal["word", "subword"]
    lookup: Literal["cased", "lower"]
    surface: Literal["as-published", "constrained"]
    lm_radius: int
    lm_threshold: float
    pair_segments: bool
    summary: str


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
    """Return the protocol called ``name``.

    Raises:
        UsageError: there is no such protocol; the sentence suggests the nearest name.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    raise UsageError(
        f"There is no protocol '{name}'.{did_you_mean(name, PROTOCOLS)} "
        f"Known: {', '.join(sorted(PROTOCOLS))}."
    )
