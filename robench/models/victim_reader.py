"""How a victim reads texts, without its classifier.

A search process whose victim is in another process needs only this. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robench._base.errors import RobenchError, first_line
from robench.models.victim_folder import REMEDY, TOKENIZER_FOLDER, checked_card
from robench.models.victim_parts import read_tokenizer
from robench.protocol import Protocol, get_protocol
from robench.text.encoding import EncodedText, FieldEncoder
from robench.text.punkt import check_punkt
from robench.text.word_table import WordTable
from robench.text.words import split_words


@dataclass(frozen=True)
class VictimReader:
    """How a victim reads texts.

    Attributes:
        table, encoder_fields: words -> token ids -> rows, as the protocol prescribes.
        attackable: name of the field that may be attacked.
        segments: whether the model gets token types.
        card: the contents of ``victim.json``.
    """

    table: WordTable
    encoder_fields: FieldEncoder
    attackable: str
    segments: bool
    card: Mapping[str, Any]

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Split one text, given as all its fields by name, into words and these into tokens."""
        words = {name: split_words(text) for name, text in fields.items()}
        return self.encoder_fields.encode_text(words)


def load_reader(folder: Path, remedy: str = REMEDY) -> VictimReader:
    """Read how the victim in a folder reads texts; its weights are only compared with their hash.

    Args:
        folder: the victim's folder, also one that an older robench wrote.
        remedy: what to do about a bad folder; the last sentence of an error.

    Raises:
        RobenchError: a file is missing, incomplete or not the one on the card.
    """
    card = checked_card(folder, remedy)
    check_punkt(card.get("ingredients", {}).get("splitter"), f"The victim in '{folder}'")
    try:
        tokenizer = read_tokenizer(folder if card["schema"] == 1 else folder / TOKENIZER_FOLDER)
        protocol, attackable = get_protocol(card["protocol"]), card["attackable"]
        table, encoder = build_reader(
            tokenizer, protocol, card["fields"], attackable, card["max_tokens"]
        )
    except RobenchError:
        raise
    # transformers raises errors of many types.
    except Exception as error:
        raise RobenchError(
            f"The tokenizer in '{folder}' cannot be loaded ({first_line(error)}). {remedy}"
        ) from error
    return VictimReader(table, encoder, attackable, protocol.pair_segments, card)


def build_reader(
    tokenizer: Any, protocol: Protocol, fields: Sequence[str], attackable: str, max_tokens: int
) -> tuple[WordTable, FieldEncoder]:
    """Build what a victim reads with.

    Returns:
        The table from words to token ids, and the encoder from fields to one row of at most
        ``max_tokens`` tokens.
    """
    table = WordTable(tokenizer, protocol.tokens)
    encoder = FieldEncoder(table, fields, attackable, max_tokens, segments=protocol.pair_segments)
    return table, encoder
