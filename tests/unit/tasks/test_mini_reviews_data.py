"""The embedded data of ``mini-reviews``.

They meet their specification, and their composer reproduces them byte for byte.
"""

from __future__ import annotations

import importlib
import json
import re
import statistics
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from robench.text.words import split_words

ROOT = Path(__file__).parents[3]
DATA = ROOT / "robench" / "embedded" / "mini_reviews"
SIZES = {"train": 2400, "dev": 400, "test": 1000}
# Function words: a dictionary that replaces them changes the grammar or the label.
CLOSED_CLASS = set(
    re.findall(
        "[a-z]+",
        """
        a an the and or but nor yet so if than as of in on at by for from to with without into over
        under not no never neither none nothing nobody hardly i me my you your he she it its we us
        our they them their this that these those who which what when where why how is are was were
        be been being has have had do does did will would can could may might must should
        """,
    )
)


def _read(name: str) -> list[dict[str, Any]]:
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict[str, Any]]]:
    return {name: _read(name) for name in SIZES}


@pytest.fixture(scope="module")
def substitutions() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(
        (DATA / "substitutions.json").read_text(encoding="utf-8")
    )
    return found


@pytest.fixture(scope="module")
def composer() -> dict[str, ModuleType]:
    """Import the modules of the composer, which is not part of the installed package."""
    sys.path.insert(0, str(ROOT))
    try:
        return {
            name: importlib.import_module(f"scripts.compose_mini_reviews.{name}")
            for name in ("__main__", "card", "compose", "measure", "render", "reading")
        }
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def composed(composer: dict[str, ModuleType]) -> Any:
    return composer["compose"].compose()


def _words(text: str) -> list[str]:
    """Return the words without punctuation.

    The reviews contain no apostrophes, hyphens or digits, so a word is a run of letters.
    """
    return re.findall("[a-z]+", text.lower())


def _sentences(text: str) -> set[str]:
    return {sentence.lower() for sentence in re.split(r"(?<=[.?!]) ", text)}


def test_splits_have_their_sizes_fields_and_balance(
    splits: dict[str, list[dict[str, Any]]],
) -> None:
    for name, size in SIZES.items():
        assert len(splits[name]) == size
        assert all(
            set(row) == {"text", "label"} and isinstance(row["text"], str) for row in splits[name]
        )
        assert Counter(row["label"] for row in splits[name]) == {0: size // 2, 1: size // 2}


def test_no_text_occurs_twice(splits: dict[str, list[dict[str, Any]]]) -> None:
    texts = [row["text"].lower() for rows in splits.values() for row in rows]
    assert len(set(texts)) == sum(SIZES.values())


def test_no_sentence_occurs_in_two_splits(splits: dict[str, list[dict[str, Any]]]) -> None:
    sentences: dict[str, set[str]] = {}
    for name, rows in splits.items():
        sentences[name] = set().union(*(_sentences(row["text"]) for row in rows))
    for one, other in combinations(sentences, 2):
        assert not sentences[one] & sentences[other]


def test_reviews_have_8_to_20_words(splits: dict[str, list[dict[str, Any]]]) -> None:
    lengths = [len(_words(row["text"])) for rows in splits.values() for row in rows]
    assert min(lengths) >= 8
    assert max(lengths) <= 20
    assert 11 <= statistics.median(lengths) <= 16


def test_nltk_finds_the_same_words(splits: dict[str, list[dict[str, Any]]]) -> None:
    """The figures count the words as an attack sees them; checked on every tenth review."""
    for text in (row["text"] for rows in splits.values() for row in rows[::10]):
        assert [token.lower() for token in split_words(text) if token.isalpha()] == _words(text)


def test_texts_are_well_formed(splits: dict[str, list[dict[str, Any]]]) -> None:
    for rows in splits.values():
        for text in (row["text"] for row in rows):
            assert re.fullmatch(r"[A-Z][A-Za-z ,:.?!]*[.?!]", text), text
            assert not re.search(r"  | [,.?!]|[{}\[\]|]", text), text
            assert not re.search(r"\b[Aa] (?=[aeio]|u(?!ni|se))(?!one\b|once\b)", text), text
            assert not re.search(r"\b[Aa]n (?![aeiou]|hour|honest)", text), text
            assert not re.search(r"\b(\w+) \1\b", text), text


def test_both_labels_use_the_polar_words(
    splits: dict[str, list[dict[str, Any]]], composer: dict[str, ModuleType]
) -> None:
    """A word like "gripping" must not reveal the label.

    For every polar word both labels occur, and for half of the words the rarer label has more than
    a tenth of the reviews.
    """
    slots = composer["reading"].read_slots().values
    polar = {word for face in "+-" for word in slots[f"adj{face}"]}
    counts: Counter[tuple[str, int]] = Counter()
    for row in splits["train"]:
        counts.update((word, row["label"]) for word in set(_words(row["text"])) & polar)
    shares = []
    for word in polar:
        bad, good = counts[word, 0], counts[word, 1]
        shares.append(min(bad, good) / (bad + good))
    assert min(shares) > 0
    assert statistics.median(shares) > 0.1


def test_every_head_has_3_to_8_substitutes(substitutions: dict[str, list[str]]) -> None:
    assert len(substitutions) >= 420
    assert list(substitutions) == sorted(substitutions)
    for head, substitutes in substitutions.items():
        assert 3 <= len(substitutes) <= 8, head
        assert len(set(substitutes)) == len(substitutes), head
        assert head not in substitutes
        assert all(re.fullmatch("[a-z]+", word) for word in [head, *substitutes]), head


def test_the_dictionary_holds_content_words_only(substitutions: dict[str, list[str]]) -> None:
    used = set(substitutions) | {
        word for substitutes in substitutions.values() for word in substitutes
    }
    assert not used & CLOSED_CLASS


def test_the_dictionary_never_replaces_good_by_bad(
    substitutions: dict[str, list[str]], composer: dict[str, ModuleType]
) -> None:
    """No head of a good list has a substitute from a bad list, nor the other way round."""
    good: set[str] = set()
    bad: set[str] = set()
    for name, words in composer["reading"].read_slots().values.items():
        single_words = {word for word in words if " " not in word}
        if name.endswith("+"):
            good |= single_words
        elif name.endswith("-"):
            bad |= single_words
    assert not good & bad
    for head, substitutes in substitutions.items():
        assert not (head in good and bad & set(substitutes)), head
        assert not (head in bad and good & set(substitutes)), head


def test_every_head_occurs_in_a_review(
    splits: dict[str, list[dict[str, Any]]], substitutions: dict[str, list[str]]
) -> None:
    seen = {word for rows in splits.values() for row in rows for word in _words(row["text"])}
    assert not set(substitutions) - seen


def test_the_embedded_encoder_knows_the_words(substitutions: dict[str, list[str]]) -> None:
    """An attack must win by its choice of words, not by inserting unknown words."""
    known = set((DATA.parent / "tiny" / "vocab.txt").read_text(encoding="utf-8").split())
    used = set(substitutions) | {
        word for substitutes in substitutions.values() for word in substitutes
    }
    assert not used - known


def test_every_review_has_3_to_9_attackable_words(
    splits: dict[str, list[dict[str, Any]]], substitutions: dict[str, list[str]]
) -> None:
    for rows in splits.values():
        counts = [sum(word in substitutions for word in _words(row["text"])) for row in rows]
        assert min(counts) >= 3
        assert max(counts) <= 9
        assert 4 <= statistics.median(counts) <= 6


def test_the_composer_makes_the_same_files(composer: dict[str, ModuleType], composed: Any) -> None:
    files = composer["__main__"].data_files(composed)
    assert sorted(files) == ["dev.jsonl", "substitutions.json", "test.jsonl", "train.jsonl"]
    for name, text in files.items():
        assert (DATA / name).read_bytes() == text.encode(), (
            f"{name}: run python -m scripts.compose_mini_reviews"
        )


def test_another_seed_gives_other_reviews(composer: dict[str, ModuleType], composed: Any) -> None:
    other = composer["compose"].compose(1)
    assert {review.text for review in other["test"]} != {review.text for review in composed["test"]}


def test_a_third_of_the_test_patterns_is_not_in_train(
    composer: dict[str, ModuleType], composed: Any
) -> None:
    used = {}
    for name, reviews in composed.items():
        used[name] = {pattern for review in reviews for pattern in review.patterns}
    assert len(used["test"] - used["train"]) >= len(used["test"]) / 3
    kept = {name: set(pools.fresh) for name, pools in composer["compose"].Composer().pools.items()}
    for one, other in (("test", "train"), ("test", "dev"), ("dev", "train"), ("dev", "test")):
        assert kept[one] & used[one]
        assert not kept[one] & used[other]
    labels = Counter(pattern.labels for pattern in composer["reading"].read_patterns())
    assert labels[0, 1] + labels[(0,)] >= 150
    assert labels[0, 1] + labels[(1,)] >= 150


def _table(text: str) -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows if len(row) > 1}


def test_the_data_card_states_the_computed_figures(
    composer: dict[str, ModuleType], composed: Any
) -> None:
    stated = _table((DATA / "README.md").read_text(encoding="utf-8"))
    computed = _table(composer["card"].render(composed))
    assert stated.keys() == computed.keys()
    for name, cells in computed.items():
        if name.startswith("test accuracy"):
            # Another build of the linear algebra may classify a borderline review differently.
            assert float(stated[name][0].rstrip("%")) == pytest.approx(
                float(cells[0].rstrip("%")), abs=0.3
            )
        else:
            assert stated[name] == cells


def test_single_words_do_not_solve_the_task(composer: dict[str, ModuleType], composed: Any) -> None:
    found = composer["card"].accuracies(composed)
    assert 0.70 <= found["all words"] <= 0.88
    assert found["20 words"] < 0.75
    assert found["5 words"] <= found["50 words"] < found["all words"]


def test_the_measure_notices_a_word_that_reveals_the_label(
    composer: dict[str, ModuleType], composed: Any
) -> None:
    """One word that goes with the label lifts the accuracy above the bound of the test above."""
    review = composer["compose"].Review
    marked: dict[str, list[Any]] = {name: [] for name in composed}
    for name, reviews in composed.items():
        for index, found in enumerate(reviews):
            text = f"Marker. {found.text}" if found.label and index % 5 else found.text
            marked[name].append(review(text, found.label, found.patterns))
    assert composer["card"].accuracies(marked)["20 words"] > 0.75


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a(n) {+adj} film", "A bad film."),
        ("a(n) hour, a(n) unique one", "An hour, a unique one."),
        ("is it? no. a(n) {-adj} one", "Is it? No. An odd one."),
    ],
)
def test_a_pattern_is_filled_with_words_and_articles(
    composer: dict[str, ModuleType], text: str, expected: str
) -> None:
    reading, render = composer["reading"], composer["render"]
    slots = reading.Slots(
        {"work": ("film",), "works": ("films",), "adj+": ("odd",), "adj-": ("bad",)}, {}
    )
    draft = render.Draft(composer["compose"].random.Random(0), slots, 0)
    assert draft.fill(reading.Pattern("plain", text, (0, 1))) == expected


def test_a_draft_with_a_repetition_or_a_clash_is_unsound(composer: dict[str, ModuleType]) -> None:
    reading, render = composer["reading"], composer["render"]
    slots = reading.Slots(
        {"work": ("series",), "works": ("series",), "time": ("hours",), "part": ("plot",)},
        {"series": frozenset({"hours"})},
    )
    for text, sound in (
        ("this {work} has a {part}", True),
        ("this {work} lasts {time}", False),
        ("a {part} is a {part}", False),
    ):
        draft = render.Draft(composer["compose"].random.Random(0), slots, 0)
        assert draft.sound(draft.fill(reading.Pattern("plain", text, (0, 1)))) is sound
