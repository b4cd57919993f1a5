"""The substitution set ``wordnet``: synonyms of WordNet, read with NLTK.

The synonyms of a word are the lemmas of all its synsets, of every part of speech, as in the PWWS of
TextAttack (no tagger decides). NLTK also looks up the base form of an inflected word, and the
synonym keeps its base form (films -> movie). Lemmas of several words, with other signs than letters
or with capitals (names) are left out, and so are function words.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from robench._base.bounded_reading import MB, Bounds, read_bytes
from robench._base.code_hash import source_sha256
from robench._base.errors import UsageError
from robench._base.files import atomic_file
from robench.tasks.assets import cache_folder
from robench.tasks.publisher_files import FileLayout, find_files
from robench.text.function_words import is_content_word

NAME = "wordnet"
_PARTS = ("adj", "adv", "noun", "verb")
FILES = (
    *(f"data.{part}" for part in _PARTS),
    *(f"index.{part}" for part in _PARTS),
    *(f"{part}.exc" for part in _PARTS),
    "lexnames",
    # NLTK wants them as well.
    "index.sense",
    "cntlist.rev",
)
"""WordNet's files."""

Files = dict[str, bytes]


class Synonyms(Mapping[str, tuple[str, ...]]):
    """Lower-case word -> its synonyms, looked up when they are asked for.

    Args:
        reader: NLTK's reader of WordNet.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._found: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, word: str) -> tuple[str, ...]:
        """Return the synonyms of ``word`` in WordNet's order, which may be none."""
        if word not in self._found:
            self._found[word] = self._look_up(word)
        return self._found[word]

    def _look_up(self, word: str) -> tuple[str, ...]:
        # The sets of the papers have lower-case heads as well.
        if word != word.lower() or not is_content_word(word):
            return ()
        lemmas = (name for synset in self._reader.synsets(word) for name in synset.lemma_names())
        kept = (
            name
            for name in lemmas
            if name != word and name == name.lower() and is_content_word(name)
        )
        return tuple(dict.fromkeys(kept))

    def __iter__(self) -> Iterator[str]:
        """Yield every word of WordNet that can be looked up."""
        names: set[str] = set(self._reader.all_lemma_names())
        return iter(sorted(name for name in names if is_content_word(name)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def load_wordnet(folder: Path | None) -> tuple[str, Mapping[str, tuple[str, ...]]]:
    """Return the SHA-256 of WordNet's files with the rules of this module, and the synonyms.

    Args:
        folder: data folder (``--data`` or ``ROBENCH_DATA``) with WordNet's files, as they are or in
            an archive. Without them, NLTK's own data folders are searched.

    Raises:
        UsageError: WordNet is not found, or the cache cannot be written.
    """
    files = _in_folder(folder) or _installed()
    if files is None:
        looked = "no data folder is named" if folder is None else f"'{folder}' does not hold it"
        raise UsageError(
            f"WordNet was not found: {looked}, and NLTK has no copy. Run "
            "'python -m nltk.downloader wordnet', or put an archive with corpora/wordnet into the "
            "folder that --data or ROBENCH_DATA names."
        )
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(hashlib.sha256(files[name]).digest())
    content = digest.hexdigest()
    place = _unpacked(files, cache_folder() / f"wordnet-{content[:16]}")
    code = source_sha256("robench.text.wordnet", "robench.text.function_words")
    return hashlib.sha256(f"{content} {code}".encode()).hexdigest(), Synonyms(_reader(place))


def _key(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    return name if name in FILES and folder.rpartition("/")[2] == "wordnet" else None


def _read(_key: str, stream: IO[bytes]) -> bytes:
    return stream.read()


def _in_folder(folder: Path | None) -> Files | None:
    """Return WordNet's files from a folder or from an archive in it, or None."""
    if folder is None:
        return None
    layout = FileLayout(_key, _read, hints=("wordnet", "nltk"), limit=64 * MB)
    found = find_files(folder, layout, _complete).files
    return found if _complete(found) else None


def _complete(files: Files) -> bool:
    return len(files) == len(FILES)


def _installed() -> Files | None:
    """Return WordNet's files from NLTK's data folders, or None."""
    import nltk

    for resource in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            place = nltk.data.find(resource)
            files: Files = {}
            for name in FILES:
                with place.join(name).open() as stream:
                    files[name] = stream.read()
        except (LookupError, OSError):
            continue
        return files
    return None


def _unpacked(files: Files, folder: Path) -> Path:
    """Return ``folder`` with the files in it; NLTK reads from a folder only."""
    try:
        for name, content in files.items():
            path = folder / name
            # A copy that has changed on the disk must not be read under the hash of the original.
            if not path.is_file() or read_bytes(path, Bounds(size=64 * MB)) != content:
                with atomic_file(path) as temporary:
                    temporary.write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"robench's cache {folder.parent} cannot be written ({error.strerror}), and WordNet is "
            "unpacked there. Free some space, or make the folder writable."
        ) from error
    return folder


def _reader(folder: Path) -> Any:
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class OneVersion(WordNetCorpusReader):
        """A reader that compares its version with no other WordNet of the machine."""

        def map_wn(self, version: str = "") -> None:
            return None

    # NLTK refuses to read outside its data folders.
    if str(folder.parent) not in nltk.data.path:
        nltk.data.path.append(str(folder.parent))
    with warnings.catch_warnings():
        # NLTK warns that there are no other languages.
        warnings.simplefilter("ignore")
        return OneVersion(str(folder), None)
