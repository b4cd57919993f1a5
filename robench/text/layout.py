"""The special tokens around the fields of a text, and the types of all tokens.

There are two layouts (special tokens in brackets):

* ``segments=False`` (protocol ``rift2021``; RIFT's ``data.py``): the fields are joined by one
  separator and have one token type: BERT ``[CLS] P [SEP] H [SEP]``, RoBERTa ``<s> P </s> H </s>``.
* ``segments=True``: the encoder's own pair template with its token types, such as RoBERTa's
  ``<s> P </s></s> H </s>``.
"""

from __future__ import annotations

from dataclasses import dataclass

from robench._base.errors import UsageError
from robench.text.word_table import Tokenizer


@dataclass(frozen=True)
class Layout:
    """The special tokens around the fields, and every token's type.

    ``gaps[i]`` stands before field i, and ``gaps[-1]`` stands after the last field.
    """

    gaps: tuple[tuple[int, ...], ...]
    gap_types: tuple[tuple[int, ...], ...]
    field_types: tuple[int, ...]

    @property
    def specials(self) -> int:
        """Number of special tokens."""
        return sum(len(gap) for gap in self.gaps)


def _probe(tokenizer: Tokenizer, *texts: str) -> tuple[list[int], list[int], list[bool]]:
    """Encode a short text or pair with the tokenizer's own template.

    Returns:
        The ids, the token types, and for each token whether it is a special token.
    """
    encoded = tokenizer(
        *texts,
        return_token_type_ids=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
    )
    ids = list(encoded["input_ids"])
    types = list(encoded.get("token_type_ids", [0] * len(ids)))
    return ids, types, [bool(mark) for mark in encoded["special_tokens_mask"]]


def template(tokenizer: Tokenizer, fields: int) -> Layout:
    """Return the tokenizer's own template for one text or a pair.

    Raises:
        UsageError: there are more than two fields.
    """
    if fields > 2:
        raise UsageError(
            f"A task of {fields} fields does not fit the encoder's pair template; "
            "use a protocol without segments, such as rift2021."
        )
    ids, types, special = _probe(tokenizer, *["a"] * fields)
    first = special.index(False)
    if fields == 1:
        last = len(special) - special[::-1].index(False)
        return Layout(
            (tuple(ids[:first]), tuple(ids[last:])),
            (tuple(types[:first]), tuple(types[last:])),
            (types[first],),
        )
    size = len(tokenizer("a", add_special_tokens=False)["input_ids"])
    second = special.index(False, first + size)
    cuts = ((0, first), (first + size, second), (second + size, len(ids)))
    return Layout(
        tuple(tuple(ids[start:end]) for start, end in cuts),
        tuple(tuple(types[start:end]) for start, end in cuts),
        (types[first], types[second]),
    )


def plain(tokenizer: Tokenizer, fields: int) -> Layout:
    """Return a layout of one token type, with the fields joined by the separator.

    The first and the last gap are those of the tokenizer's template for a single text.
    """
    single = template(tokenizer, 1)
    separator = getattr(tokenizer, "sep_token_id", None)
    between = single.gaps[1] if separator is None else (int(separator),)
    gaps = (single.gaps[0], *[between] * (fields - 1), single.gaps[1])
    kind = single.field_types[0]
    return Layout(gaps, tuple((kind,) * len(gap) for gap in gaps), (kind,) * fields)
