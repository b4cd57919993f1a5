"""Substitution sets: which words may stand for a word.

A set is a JSON object ``{"word": ["substitute", …], …}``, the shape of Alzantot et al.'s ``counterfitted_neighbors.json`` as Jia et al. 2019 published it
(at most 8 neighbours within squared distance 0.5 of counter-fitted vectors; 25 very frequent words have none; keys are lower-case).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from robench._base.embedded import embedded_path
from robench._base.errors import UsageError
from robench.text.words import split_words

Lookup = Literal["cased", "lower"]
_PUBLISHED = {"counterfitted": "counterfitted_neighbors.json"}
_EMBEDDED = {"mini": ("mini_reviews", "substitutions.json")}


class SubstitutionSet:
    """A dictionary of substitutes.

    Attributes:
        name: how records call it.
        sha256: of the file's bytes.
    """

    def __init__(self, name: str, sha256: str, neighbours: Mapping[str, tuple[str, ...]]) -> None:
        self.name = name
        self.sha256 = sha256
        self._neighbours = neighbours

    def __len__(self) -> int:
        """Number of heads, those without substitutes included."""
        return len(self._neighbours)

    def of(self, word: str, lookup: Lookup) -> tuple[str, ...]:
        """Substitutes of ``word`` in the file's order, without repetitions and without the word itself (for ``"lower"``: in whatever case).

        A substitute that the word splitter takes apart is left out (in the published set: "cannot", "gonna", "gotta", "wanna"): a text holding it
        has one word more, so no victim would ever read what the attack proposed. The releases keep such words, since they split at blanks.

        Args:
            lookup: ``"cased"`` takes the word as it is written, so that capitalised words have none (the releases of Jia et al. and RIFT);
                ``"lower"`` looks the lower-cased word up and gives its case back (Good -> Fine, GOOD -> FINE; other mixtures of case leave substitutes as
                they are).
        """
        key = word if lookup == "cased" else word.lower()
        found = self._neighbours.get(key, ())
        if lookup == "lower":
            found = tuple(
                _with_case_of(word, substitute) for substitute in found if substitute.lower() != key
            )
        return tuple(
            dict.fromkeys(
                substitute
                for substitute in found
                if substitute != word and _is_one_word(substitute)
            )
        )

    def __repr__(self) -> str:
        return f"SubstitutionSet({self.name!r}, {len(self)} heads, sha256 {self.sha256[:12]})"


def load_substitutions(name: str, folder: Path | None = None) -> SubstitutionSet:
    """Load a substitution set.

    Args:
        name: ``"counterfitted"`` (found in ``folder`` or fetched by hash), ``"mini"`` (ships with robench), or the path of a JSON file of the same shape.
        folder: data folder (``--data`` or ``ROBENCH_DATA``).

    Raises:
        UsageError: no such set, or the file cannot be read or is not of that shape.
    """
    if name in _PUBLISHED:
        from robench.tasks.assets import find_asset

        return _read(name, Path(find_asset(_PUBLISHED[name], folder)))
    if name in _EMBEDDED:
        return _read(name, embedded_path(*_EMBEDDED[name]))
    path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted({*_PUBLISHED, *_EMBEDDED}))
        raise UsageError(
            f"There is no substitution set '{name}'. Known: {known}, or the path of a JSON file."
        )
    return _read(path.stem, path)


def _read(name: str, path: Path) -> SubstitutionSet:
    try:
        content = path.read_bytes()
        data = json.loads(content)
    except OSError as error:
        raise UsageError(
            f"The substitution set {path} cannot be read: {error.strerror}."
        ) from error
    except ValueError as error:
        raise UsageError(f"The substitution set {path} is not JSON: {error}.") from error
    if not isinstance(data, dict):
        raise UsageError(
            f"The substitution set {path} must be a JSON object of word -> list of substitutes."
        )
    return SubstitutionSet(
        name,
        hashlib.sha256(content).hexdigest(),
        {head: _checked(head, listed, path) for head, listed in data.items()},
    )


def _checked(head: str, listed: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(listed, list) or not all(
        isinstance(word, str) and word.split() == [word] for word in listed
    ):
        raise UsageError(
            f"The substitution set {path} must give each head a list of single words; '{head}' has {str(listed)[:80]}."
        )
    return tuple(listed)


@cache
def _is_one_word(word: str) -> bool:
    return split_words(word) == [word]


def _with_case_of(word: str, substitute: str) -> str:
    if len(word) > 1 and word.isupper():
        return substitute.upper()
    if word[:1].isupper() and not any(letter.isupper() for letter in word[1:]):
        return substitute[:1].upper() + substitute[1:]
    return substitute
