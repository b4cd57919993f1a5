"""Find out how a given model takes padding, by trying it.

Encoders take padding on the right. Decoders read the last token that is not padding. XLNet reads
the last token, so it takes padding on the left. A model may also have no padding token at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from robench.models.given.victim import GivenVictim, Padding

TOLERANCE = 1e-4
"""Largest difference between the logits of a padded row and those of the row alone."""
_TEXTS = (
    "good",
    "The film is not bad at all.",
    "a b c d e f g h i j k l m n o p",
    "I saw it twice, and I would see it again!",
)
_EXTRA = (1, 2, 7)
"""Numbers of padding tokens beyond the longest row that are tried."""
_NO_TOKEN = -1


def choose_padding(victim: GivenVictim) -> Padding:
    """Set the first kind of padding that leaves the answers as they are, and return it."""
    pad_id = _pad_id(victim)
    # A decoder without a padding token reads its last token if no token equals this number.
    config = victim.model.config
    if config.pad_token_id is None:
        config.pad_token_id = _NO_TOKEN if pad_id is None else pad_id
    kinds: tuple[Padding, ...] = ("right", "left")
    for padding in kinds:
        if _unchanged(victim, padding, pad_id or 0):
            victim.set_padding(padding, pad_id or 0)
            return padding
    victim.set_padding("none", pad_id or 0)
    return "none"


def _pad_id(victim: GivenVictim) -> int | None:
    """Return the token that pads rows; None if every token may be part of a text.

    A decoder takes the last token that is not this one. So it must be the model's own, an unused
    row of the embeddings, or a token for padding alone.
    """
    own, tokenizer = victim.model.config.pad_token_id, victim.tokenizer
    if own is not None and 0 <= own < victim.vocabulary:
        return int(own)
    if victim.vocabulary > len(tokenizer):
        return len(tokenizer)
    kinds = ("bos", "eos", "unk", "sep", "cls", "mask")
    others = {getattr(tokenizer, f"{kind}_token_id", None) for kind in kinds}
    number = tokenizer.pad_token_id
    only = number is not None and number not in others and number < victim.vocabulary
    return int(number) if only else None


def _unchanged(victim: GivenVictim, padding: Padding, pad_id: int) -> bool:
    """Return whether padded rows have the logits of unpadded ones."""
    fields = victim.encoder_fields.fields
    rows: list[Any] = [victim.read(dict.fromkeys(fields, text)).ids for text in _TEXTS]
    lengths = np.array([len(row) for row in rows])
    victim.set_padding("none", pad_id)
    alone = np.concatenate([victim.logits(row[None], np.array([len(row)])) for row in rows])
    # Small models have small logits, in which a wrong answer is a small difference.
    allowed = TOLERANCE * min(1.0, float(np.abs(alone).max()) or 1.0)
    victim.set_padding(padding, pad_id)
    try:
        for extra in _EXTRA:
            width = min(int(lengths.max()) + extra, victim.max_tokens)
            ids = np.full((len(rows), width), pad_id)
            for line, row in zip(ids, rows, strict=True):
                line[: len(row)] = row
            if not np.allclose(victim.logits(ids, lengths), alone, rtol=0, atol=allowed):
                return False
    # A model may refuse padded rows with an error of any type.
    except Exception:
        return False
    finally:
        victim.set_padding("none", pad_id)
    return True
