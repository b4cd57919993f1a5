"""A finding about a victim whose answer to a text depends on the texts that are asked beside it.

A defense can do so without meaning to, by normalising over a batch for example. Its figures then
depend on how a search packs its queries, and nobody who asks one text alone gets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robench.models.health_checks import RedFlag
from robench.models.probabilities import softmax

if TYPE_CHECKING:
    from robench.models.judged import JudgedVictim
    from robench.tasks.example import Example
    from robench.text.encoding import EncodedText

TEXTS, ALONE = 64, 16
"""Number of texts that are asked together, and how many of them also alone."""
LARGEST = 1e-3
"""A probability may move so far. Rounding in fp32 moves it by about 1e-6."""


def company_findings(
    victim: JudgedVictim, examples: Sequence[Example], split: str = "dev"
) -> list[RedFlag]:
    """Return a finding if the victim's answers depend on which texts share a forward pass.

    The first ``TEXTS`` are asked together, in the other order, every second one of them, and some
    alone, with the shapes that a search uses and as single rows.

    Args:
        victim: the victim. Nothing is found for a function: each of its answers is kept by text,
            so that it is asked about a text once.
        examples: examples to check with.
        split: name of their split, for the message.
    """
    if victim.kind == "function" or not examples:
        return []
    texts = [victim.read(example.fields) for example in examples[:TEXTS]]
    together = _asked(victim, texts)
    others = [
        (together, _asked(victim, texts[::-1])[::-1]),
        (together[::2], _asked(victim, texts[::2])),
        (together[:ALONE], np.concatenate([_asked(victim, [each]) for each in texts[:ALONE]])),
        (together[:ALONE], np.concatenate([_single(victim, each) for each in texts[:ALONE]])),
    ]
    largest = max(float(np.abs(first - second).max()) for first, second in others)
    if largest <= LARGEST:
        return []
    changed = max(int((first.argmax(1) != second.argmax(1)).sum()) for first, second in others)
    message = (
        f"'{victim.name}' answers about a text by what is asked beside it: on {len(texts)} {split} "
        f"texts a probability moves by up to {largest:.2g} and {changed} labels change if the "
        "texts come in another order, fewer together, or alone. Its figures depend on how the "
        "queries are packed."
    )
    return [RedFlag("depends-on-company", message)]


def _asked(victim: JudgedVictim, texts: Sequence[EncodedText]) -> NDArray[np.float32]:
    """Return the probabilities ``(texts, classes)``, with the forward passes of a search."""
    from robench.search.batching import logits_of_rows

    rows = [(text, text.ids[None], np.array([len(text.ids)], dtype=np.int32)) for text in texts]
    return softmax(logits_of_rows(victim, rows))


def _single(victim: JudgedVictim, text: EncodedText) -> NDArray[np.float32]:
    """Return the probabilities ``(1, classes)`` of a forward pass of this row only."""
    types = text.token_types[None] if victim.segments else None
    return softmax(victim.logits(text.ids[None], np.array([len(text.ids)]), types))
