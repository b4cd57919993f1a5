"""Substitution sets: which words may replace a word.

A set is a JSON object ``{"word": ["substitute", …], …}``. This is the form of Alzantot et al.'s
``counterfitted_neighbors.json`` as Jia et al. 2019 published it: at most 8 neighbours within
squared distance 0.5 of counter-fitted vectors, no neighbours for 25 very frequent words, and
lower-case keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from robench._base.bounded_reading import MB, Bounds, Unreadable, parse_json, read_bytes
from robench._base.embedded import embedded_path
from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.text.punkt import Punkt, chosen_punkt
from robench.text.words import unsplit_words

Lookup = Literal["cased", "lower"]
_PUBLISHED = {"counterfitted": "counterfitted_neighbors.json"}
_EMBEDDED = {
    "mini": ("mini_reviews", "substitutions.json"),
    "mini-held-out": ("mini_reviews_held_out", "substitutions.json"),
}
_WORDNET = "wordnet"
# The published set has 6 MB.
_BOUNDS = Bounds(size=256 * MB, text=1000, depth=2)
NAMES = (*_PUBLISHED, *_EMBEDDED, _WORDNET)
"""Names of the sets that need no path."""


class SubstitutionSet:
    """A dictionary of substitutes.

    Attributes:
        name: its name in records.
        sha256: SHA-256 of the file's bytes.
    """

    def __init__(self, name: str, sha256: str, neighbours: Mapping[str, tuple[str, ...]]) -> None:
        self.name = name
        self.sha256 = sha256
        self._neighbours = neighbours

    def __len__(self) -> int:
        """Return the number of heads, including those without substitutes."""
        return len(self._neighbours)

    def of(self, word: str, lookup: Lookup) -> tuple[str, ...]:
        """Return the substitutes of ``word`` in the file's order, without repetitions.

        The word itself is left out (with ``"lower"``, in any case). So is a substitute that the
        word splitter takes apart (in the published set: "cannot", "gonna", "gotta", "wanna"): a
        text with it has one word more, so no victim would read what the attack proposed. The
        releases keep such words, because they split at blanks.

        Args:
            word: the word to replace.
            lookup: ``"cased"`` looks the word up as it is written, so that capitalised words have
                no substitutes (the releases of Jia et al. and RIFT). ``"lower"`` looks the
                lower-cased word up and restores its case (Good -> Fine, GOOD -> FINE); for other
                mixtures of case the substitutes stay as they are.
        """
        return fitting(word, self._listed(word, lookup), lookup)

    def _listed(self, word: str, lookup: Lookup) -> tuple[str, ...]:
        """Return what the file lists for ``word``."""
        return self._neighbours.get(word if lookup == "cased" else word.lower(), ())

    def of_text(
        self, words: Sequence[str], lookup: Lookup, stop: int
    ) -> dict[int, tuple[str, ...]]:
        """Return index -> substitutes of the words of a text before ``stop`` that have any."""
        attacked = words[:stop]
        distinct = set(attacked)
        _learn(
            other
            for word in distinct
            for other in _in_case(word, self._listed(word, lookup), lookup)
        )
        found = {word: self.of(word, lookup) for word in distinct}
        return {position: found[word] for position, word in enumerate(attacked) if found[word]}

    def __repr__(self) -> str:
        return f"SubstitutionSet({self.name!r}, {len(self)} heads, sha256 {self.sha256[:12]})"


def load_substitutions(name: str, folder: Path | None = None) -> SubstitutionSet:
    """Load a substitution set.

    Args:
        name: ``"counterfitted"`` (found in ``folder`` or fetched by hash), ``"mini"`` and
            ``"mini-held-out"`` (they ship with robench), ``"wordnet"`` (found in ``folder`` or in
            NLTK's data), or the path of a JSON file of the same form.
        folder: data folder (``--data`` or ``ROBENCH_DATA``).

    Raises:
        UsageError: the set is unknown, or the file cannot be read or has another form.
    """
    if name in _PUBLISHED:
        from robench.tasks.assets import find_asset

        return _read(name, Path(find_asset(_PUBLISHED[name], folder)))
    if name in _EMBEDDED:
        return _read(name, embedded_path(*_EMBEDDED[name]))
    if name == _WORDNET:
        from robench.text.wordnet import load_wordnet

        return SubstitutionSet(name, *load_wordnet(folder))
    path = Path(name)
    # A pipe or a device is a file of the wrong kind, and the reader says so.
    if not path.exists() or path.is_dir():
        raise unknown_set(name, NAMES)
    return _read(path.stem, path)


def unknown_set(name: str, known: Iterable[str]) -> UsageError:
    """Return the sentence about a name that is neither a known set nor a file.

    Args:
        name: what the user wrote.
        known: the names that may stand in its place.
    """
    known = sorted(known)
    others = f"Known: {', '.join(known)}, or the path of a JSON file."
    if Path(name).is_dir():
        return UsageError(f"'{name}' is a folder, and no substitution set. {others}")
    if name.endswith(".json") or "/" in name or "\\" in name:
        return UsageError(f"There is no file '{name}', and no substitution set. {others}")
    hint = did_you_mean(name, known)
    return UsageError(f"There is no substitution set '{name}'.{hint} {others}")


def _read(name: str, path: Path) -> SubstitutionSet:
    try:
        content = read_bytes(path, _BOUNDS)
        data = parse_json(content, path, _BOUNDS)
    except Unreadable as error:
        raise UsageError(f"The substitution set {path} cannot be read: {error.reason}.") from error
    if not isinstance(data, dict):
        raise UsageError(
            f"The substitution set {path} must be a JSON object of word -> list of substitutes."
        )
    neighbours = {head: _checked(head, listed, path) for head, listed in data.items()}
    if not any(neighbours.values()):
        raise UsageError(
            f"The substitution set {path} holds no substitute, so no attack could change a word."
        )
    return SubstitutionSet(name, hashlib.sha256(content).hexdigest(), neighbours)


def _checked(head: str, listed: Any, path: Path) -> tuple[str, ...]:
    """Return the substitutes of ``head``, or raise UsageError if they are not single words."""
    valid = isinstance(listed, list) and all(
        isinstance(word, str) and word.split() == [word] for word in listed
    )
    if not valid:
        raise UsageError(
            f"The substitution set {path} must give each head a list of single words; "
            f"'{head}' has {str(listed)[:80]}."
        )
    return tuple(listed)


def fitting(word: str, found: Sequence[str], lookup: Lookup) -> tuple[str, ...]:
    """Return substitutes as they may stand in the place of ``word``; see ``SubstitutionSet.of``.

    Args:
        word: the word to replace.
        found: its substitutes as a set lists them.
        lookup: ``"lower"`` gives them the case of the word.
    """
    candidates = [other for other in _in_case(word, found, lookup) if other != word]
    whole = _learn(candidates)
    return tuple(dict.fromkeys(other for other in candidates if whole[other]))


def _in_case(word: str, found: Sequence[str], lookup: Lookup) -> Sequence[str]:
    """Return the substitutes in the case of ``word`` where ``lookup`` asks for that."""
    if lookup == "cased":
        return found
    key = word.lower()
    return [_with_case_of(word, other) for other in found if other.lower() != key]


@cache
def _known(punkt: Punkt) -> dict[str, bool]:
    """Return whether the word splitter leaves a word whole, for the words that were looked at."""
    return {}


def _learn(words: Iterable[str]) -> dict[str, bool]:
    """Find out which of some words the word splitter leaves whole, and return all that is known."""
    known = _known(chosen_punkt())
    unknown = [word for word in words if word not in known]
    if unknown:
        whole = unsplit_words(unknown)
        known.update((word, word in whole) for word in unknown)
    return known


def _with_case_of(word: str, substitute: str) -> str:
    """Return ``substitute`` in capitals or capitalised if ``word`` is, else unchanged."""
    if len(word) > 1 and word.isupper():
        return substitute.upper()
    if word[:1].isupper() and not any(letter.isupper() for letter in word[1:]):
        return substitute[:1].upper() + substitute[1:]
    return substitute
