"""English function words: they carry grammar and not content, so some sets leave them alone."""

from __future__ import annotations

from typing import Final

# Articles, pronouns and determiners; auxiliaries and their shortened forms; prepositions,
# conjunctions and particles; adverbs that negate, point or grade.
_LISTED = """
a an the this that these those i me my mine myself we us our ours ourselves you your yours
yourself yourselves he him his himself she her hers herself it its itself they them their theirs
themselves one ones who whom whose which what whatever whoever each every either neither both all
any some no none another other others such same own much many more most few fewer less least
several enough somebody someone something anybody anyone anything everybody everyone everything
nobody nothing

am is are was were be been being has have had having do does did doing done can could may might
must shall should will would ought need dare ca wo sha ai 's 're 've 'll 'd 'm n't cannot

about above across after against along amid among around as at before behind below beneath beside
besides between beyond but by despite down during except for from in inside into like near of off
on onto out outside over per since than through throughout till to toward towards under until up
upon via with within without and or nor so yet if because although though unless while whereas
whether when whenever where wherever why how

not never ever only just even too very also again then there here now once still already almost
quite rather else instead however therefore thus
"""

FUNCTION_WORDS: Final = frozenset(_LISTED.split())
"""Lower-case words that sets made from WordNet or from models neither replace nor offer."""


def is_content_word(word: str) -> bool:
    """Return whether a word consists of letters and is no function word."""
    return word.isalpha() and word.lower() not in FUNCTION_WORDS
