"""Call a tokenizer without special tokens and without its warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def plain_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of whole texts, without special tokens, neither cut nor padded."""
    if not texts:
        return []
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return [list(ids) for ids in encoded["input_ids"]]
