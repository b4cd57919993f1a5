"""The embedded encoder's text: reading, cleaning, vocabulary and the two tokenised forms.

Sources of the choices:

* the text is the unlabelled and the training part of the Large Movie Review Dataset
  (Maas et al. 2011), read from the publisher's folder layout or from its two archives;
* the vocabulary is lower-case WordPiece (Devlin et al. 2019), trained on this text;
* the *word form* is that of the one-token-a-word protocol of certified-robustness work
  (Jia et al. 2019): Penn Treebank words by NLTK, lower-cased, one vocabulary entry each.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

logger = logging.getLogger(__name__)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)
ARCHIVES = ("imdb_labelled_aclImdb.tar.xz", "imdb_unsup_aclImdb.tar.xz")
FOLDERS = ("train/pos", "train/neg", "train/unsup", "test/pos", "test/neg")
# NLTK makes these single words of contractions and quotation marks. WordPiece splits at every
# apostrophe, so it would never learn them.
CONTRACTIONS = ("n't", "'s", "'re", "'ve", "'ll", "'m", "'d", "``", "''", "...", "--")
# Share of the vocabulary for the most frequent NLTK words that WordPiece lacks (sci-fi, 10/10).
EXTRA_WORDS = 0.025

Ids = npt.NDArray[np.uint16]
Offsets = npt.NDArray[np.int64]

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])([\"')\]]*)\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:mr|mrs|ms|dr|st|jr|sr|vs|prof|etc|[a-z])\.$", re.IGNORECASE
)


@dataclass(frozen=True)
class TokenStore:
    """The reviews in one form: flat ``ids`` [tokens], and ``offsets`` [reviews + 1] into them."""

    ids: Ids
    offsets: Offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def review(self, index: int) -> Ids:
        """Return the ids of review ``index`` (0 <= index < len(self)), without special tokens."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def save(self, stem: Path) -> None:
        """Write ``<stem>.ids.npy`` and ``<stem>.offsets.npy``."""
        np.save(f"{stem}.ids.npy", self.ids)
        np.save(f"{stem}.offsets.npy", self.offsets)

    @classmethod
    def load(cls, stem: Path) -> TokenStore:
        """Open the files that ``save`` wrote; the ids stay on disk (memory-mapped)."""
        return cls(
            np.load(f"{stem}.ids.npy", mmap_mode="r", allow_pickle=False),
            np.load(f"{stem}.offsets.npy", allow_pickle=False),
        )


@dataclass(frozen=True)
class Corpus:
    """Both forms of the same reviews, the vocabulary, the tokenizer's file and counts."""

    pieces: TokenStore
    words: TokenStore
    vocabulary: list[str]
    tokenizer_file: Path
    counts: dict[str, int]


def _from_archive(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive, "r:xz") as opened:
        for member in opened:
            folder = "/".join(Path(member.name).parts[-3:-1])
            handle = opened.extractfile(member) if member.isfile() and folder in FOLDERS else None
            if handle is not None:
                yield folder, handle.read().decode("utf-8")


def iter_reviews(data: Path) -> Iterator[tuple[str, str]]:
    """Yield (folder, raw text) of all reviews under ``data``.

    A folder is ``"train/pos"`` or similar. ``data`` is the unpacked ``aclImdb`` folder, or
    holds it, or holds the archives ``ARCHIVES``.
    """
    root = data / "aclImdb" if (data / "aclImdb").is_dir() else data
    if (root / "train" / "unsup").is_dir():
        for folder in FOLDERS:
            for file in sorted((root / folder).glob("*.txt")):
                yield folder, file.read_text(encoding="utf-8")
        return
    missing = [name for name in ARCHIVES if not (data / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"neither aclImdb/train/unsup nor {', '.join(missing)} in the data folder"
        )
    for name in ARCHIVES:
        yield from _from_archive(data / name)


def clean(text: str) -> str:
    """Return the text without HTML line breaks, with every run of white space as one blank."""
    return _SPACE.sub(" ", _BREAK.sub(" ", text)).strip()


def fingerprint(text: str) -> bytes:
    """Return a 16-byte key of a review that ignores case, punctuation and spacing."""
    words = " ".join(re.findall(r"\w+", clean(text).lower()))
    return hashlib.blake2b(words.encode(), digest_size=16).digest()


def select_reviews(reviews: Iterable[tuple[str, str]]) -> tuple[list[str], dict[str, int]]:
    """Return the cleaned training and unlabelled reviews, without test reviews and duplicates.

    Returns:
        The reviews in the given order, and the numbers of kept and dropped reviews.
    """
    everything = list(reviews)
    test = {fingerprint(text) for folder, text in everything if folder.startswith("test/")}
    seen: set[bytes] = set()
    kept: list[str] = []
    counts = Counter(
        dict.fromkeys(("read", "kept", "equal_test_unlabelled", "equal_test_train", "duplicate"), 0)
    )
    for folder, text in everything:
        if folder.startswith("test/"):
            continue
        counts["read"] += 1
        key = fingerprint(text)
        if key in test:
            counts["equal_test_unlabelled" if folder.endswith("unsup") else "equal_test_train"] += 1
        elif key in seen:
            counts["duplicate"] += 1
        else:
            seen.add(key)
            kept.append(clean(text))
    counts["kept"] = len(kept)
    return kept, dict(counts)


def sentences(text: str) -> list[str]:
    """Split a text into sentences by a simple rule.

    A sentence ends at an end mark before white space, except after an abbreviation or an initial.
    """
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[start : match.start()]):
            found.append(text[start : match.end()].strip())
            start = match.end()
    return [*found, text[start:]] if text[start:] else found


@cache
def _treebank() -> Any:
    # The worker processes need this import; a process that reads a finished cache does not.
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()


def treebank_words(text: str) -> list[str]:
    """Return the lower-case Penn Treebank words of a cleaned review."""
    tokenizer = _treebank()
    words: list[str] = []
    for sentence in sentences(text):
        words += tokenizer.tokenize(sentence.lower())
    return words


def _joined_words(text: str) -> str:
    return "\n".join(treebank_words(text))


def split_words(
    reviews: list[str], processes: int = 2
) -> tuple[npt.NDArray[np.int32], Offsets, list[str]]:
    """Split reviews into words, before there is a vocabulary.

    Returns:
        Word-type ids [words], offsets [reviews + 1], and the word types.
    """
    types: dict[str, int] = {}
    lengths: list[int] = []
    parts: list[npt.NDArray[np.int32]] = []
    with get_context("spawn").Pool(processes) as pool:
        for joined in pool.imap(_joined_words, reviews, chunksize=200):
            ids = [types.setdefault(word, len(types)) for word in joined.split("\n")]
            lengths.append(len(ids))
            parts.append(np.asarray(ids, dtype=np.int32))
    return np.concatenate(parts), np.cumsum([0, *lengths], dtype=np.int64), list(types)


def build_tokenizer(vocabulary: list[str]) -> Tokenizer:
    """Make a lower-case BERT tokenizer.

    The index of an entry of ``vocabulary`` is its id; the first five entries are ``SPECIAL``.
    """
    model = models.WordPiece({entry: i for i, entry in enumerate(vocabulary)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def train_vocabulary(reviews: list[str], words_by_count: list[str], size: int) -> list[str]:
    """Return ``size`` entries: special tokens, WordPiece entries, contractions, other NLTK words.

    ``words_by_count`` lists the word types of the word form, the most frequent first. The entries
    of the last two groups contain punctuation, so WordPiece never produces them, and they can be
    plain entries.
    """
    room = len(CONTRACTIONS) + int(size * EXTRA_WORDS)
    tokenizer = build_tokenizer(list(SPECIAL))
    trainer = trainers.WordPieceTrainer(
        vocab_size=size - room,
        limit_alphabet=200,
        special_tokens=list(SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(reviews, trainer, length=len(reviews))
    found = tokenizer.get_vocab()
    vocabulary = sorted(found, key=lambda entry: found[entry])
    known = set(vocabulary)
    for word in [*CONTRACTIONS, *words_by_count]:
        if len(vocabulary) < size and word not in known:
            known.add(word)
            vocabulary.append(word)
    return vocabulary


def _encode_pieces(reviews: list[str], tokenizer: Tokenizer) -> TokenStore:
    parts: list[Ids] = []
    for start in range(0, len(reviews), 1000):
        batch = tokenizer.encode_batch(reviews[start : start + 1000], add_special_tokens=False)
        parts.extend(np.asarray(encoding.ids, dtype=np.uint16) for encoding in batch)
    return TokenStore(np.concatenate(parts), np.cumsum([0, *map(len, parts)], dtype=np.int64))


def _build_corpus(data: Path, folder: Path, vocab_size: int, limit: int) -> None:
    """Read, clean and tokenise the reviews, and write all files of a corpus into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    reviews, counts = select_reviews(iter_reviews(data))
    random.Random(0).shuffle(reviews)
    reviews = reviews[:limit] if limit else reviews
    logger.info("text: %s", counts)
    types_of, offsets, types = split_words(reviews)
    order = np.argsort(-np.bincount(types_of, minlength=len(types)), kind="stable")
    vocabulary = train_vocabulary(reviews, [types[i] for i in order], vocab_size)
    logger.info("vocabulary of %d entries from %d word types", len(vocabulary), len(types))
    tokenizer = build_tokenizer(vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    ids = {entry: i for i, entry in enumerate(vocabulary) if i >= len(SPECIAL)}
    mapping = np.asarray([ids.get(word, UNK) for word in types], dtype=np.uint16)
    TokenStore(mapping[types_of], offsets).save(folder / "words")
    _encode_pieces(reviews, tokenizer).save(folder / "pieces")
    # This file is written last: where it exists, the cache is complete.
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


def prepare_corpus(data: Path, work: Path, vocab_size: int, limit: int = 0) -> Corpus:
    """Return both tokenised forms and the tokenizer, cached in ``work`` so that a restart is quick.

    ``limit`` > 0 takes a random sample of that many reviews (seed 0), for trials.
    """
    folder = work / f"corpus-{vocab_size}-{limit or 'all'}"
    if not (folder / "counts.json").is_file():
        _build_corpus(data, folder, vocab_size, limit)
    pieces, words = TokenStore.load(folder / "pieces"), TokenStore.load(folder / "words")
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    counts |= {
        "pieces": len(pieces.ids),
        "words": len(words.ids),
        "unknown_words": int((words.ids == UNK).sum()),
    }
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    return Corpus(pieces, words, vocabulary, folder / "tokenizer.json", counts)
