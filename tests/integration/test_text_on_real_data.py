"""Words, tokens and surfaces on some real IMDB reviews and SNLI pairs."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_cases import data_folder, make_tokenizer, tiny_model

from robench.protocol import PROTOCOLS
from robench.tasks.example import Example
from robench.text.encoding import FieldEncoder
from robench.text.substitutions import load_substitutions
from robench.text.surface_building import SurfaceRequest, load_or_build
from robench.text.torch_scorers import MaskedScorer
from robench.text.word_table import WordTable
from robench.text.words import join_words, replace_words, split_words, unsplit_words

DATA = data_folder()
pytestmark = pytest.mark.skipif(DATA is None, reason="ROBENCH_DATA is not set")


def members(archive: str, suffix: str) -> Iterator[str]:
    """Yield the texts of files with that ending, from the unpacked folder or the archive."""
    assert DATA is not None
    plain = islice((path for path in DATA.glob("**/*") if str(path).endswith(suffix)), 1)
    if not (DATA / archive).is_file():
        for path in plain:
            yield path.read_text(encoding="utf-8")
        return
    with tarfile.open(DATA / archive) as opened:
        for member in opened:
            if member.name.endswith(suffix):
                handle = opened.extractfile(member)
                assert handle is not None
                yield handle.read().decode("utf-8")


@pytest.fixture(scope="module")
def reviews() -> list[str]:
    found = list(islice(members("imdb_labelled_aclImdb.tar.xz", ".txt"), 40))
    usable = [text for text in found if len(text.split()) > 20 and "http" not in text]
    texts = [text.replace("<br />", " ") for text in usable]
    if len(texts) < 5:
        pytest.skip("no IMDB reviews under ROBENCH_DATA")
    return texts


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    lines = next(members("snli_dev_test.tar.xz", "snli_1.0_test.jsonl"), "").splitlines()[:40]
    if not lines:
        pytest.skip("no SNLI pairs under ROBENCH_DATA")
    return [(pair["sentence1"], pair["sentence2"]) for pair in map(json.loads, lines)]


def test_reviews_have_a_plausible_number_of_words(reviews: list[str]) -> None:
    lengths = [len(split_words(text)) for text in reviews]
    assert 100 < np.mean(lengths) < 500
    assert all(word.split() == [word] for text in reviews for word in split_words(text))


@pytest.mark.parametrize("family", ["wordpiece", "wordpiece-slow", "bytelevel", "unigram"])
def test_encoded_words_of_reviews_equal_the_tokenised_string(
    family: str, reviews: list[str], tmp_path: Path
) -> None:
    tokenizer = make_tokenizer(family, tmp_path)
    encoder = FieldEncoder(WordTable(tokenizer, "subword"), ["text"], "text", 300, segments=True)
    for text in reviews:
        words = split_words(text)
        expected = tokenizer(join_words(words), truncation=True, max_length=300)["input_ids"]
        assert encoder.encode({"text": words}).ids.tolist() == expected


@pytest.mark.parametrize("family", ["wordpiece", "bytelevel", "unigram"])
def test_encoded_words_of_pairs_equal_the_tokenised_strings(
    family: str, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    tokenizer = make_tokenizer(family, tmp_path)
    encoder = FieldEncoder(
        WordTable(tokenizer, "subword"), ["premise", "hypothesis"], "hypothesis", 48, segments=True
    )
    for premise, hypothesis in pairs:
        fields = {"premise": split_words(premise), "hypothesis": split_words(hypothesis)}
        if len(tokenizer(join_words(fields["hypothesis"]))["input_ids"]) > 30:
            # The hypothesis would be cut as well.
            continue
        expected = tokenizer(
            join_words(fields["premise"]),
            join_words(fields["hypothesis"]),
            truncation="only_first",
            max_length=48,
        )["input_ids"]
        row = encoder.encode(fields)
        assert row.ids.tolist() == expected
        assert row.visible == len(fields["hypothesis"])


def test_a_surface_of_real_reviews_has_plausible_counts(reviews: list[str], tmp_path: Path) -> None:
    tokenizer = make_tokenizer("wordpiece", tmp_path)
    scorer = MaskedScorer(tiny_model("bert", len(tokenizer), tokenizer), tokenizer)
    examples = [
        Example(f"imdb/{hashlib.sha256(text.encode()).hexdigest()[:16]}", {"text": text}, 0)
        for text in reviews[:4]
    ]
    substitutions = load_substitutions("counterfitted", DATA)
    request = SurfaceRequest(
        examples, "text", "imdb", "d", substitutions, PROTOCOLS["rift2021"], scorer, 298
    )
    cased = load_or_build(tmp_path, request)
    lower = load_or_build(tmp_path, replace(request, protocol=PROTOCOLS["subword"]))
    # On the whole texts of the frozen 1000, 43 % of the words have substitutes with the cased
    # lookup and 49 % with the lower-cased one.
    assert 0.3 < cased.meta["positions"] / min(cased.meta["words"], 4 * 298) < 0.65
    assert cased.meta["positions"] < lower.meta["positions"]
    for example in examples:
        assert list(cased.words(example.id)) == split_words(example.fields["text"])
        free = cased.space(example.id, 298, False, 5.0)
        bound = cased.space(example.id, 298, True, 5.0)
        assert bound.sizes.sum() < free.sizes.sum()
        assert all(
            set(few) <= set(many) for few, many in zip(bound.options, free.options, strict=True)
        )
        assert not any(len(options) > 1 for options in free.options if options[0][0].isupper())


def test_substitutes_are_unsplit_words_together_as_each_is_alone() -> None:
    listed = list(load_substitutions("counterfitted", DATA)._neighbours.items())[::40]
    words = {word for head, others in listed for word in (head, *others)}
    cased = words | {word.capitalize() for word in words} | {word.upper() for word in words}
    whole = unsplit_words(sorted(cased))
    assert whole == {word for word in cased if split_words(word) == [word]}
    assert len(whole) > 3000


@pytest.mark.parametrize("mode", ["word", "subword"])
def test_candidates_of_real_reviews_equal_their_encoded_texts(
    reviews: list[str], tmp_path: Path, mode: Any
) -> None:
    tokenizer = make_tokenizer("wordpiece", tmp_path)
    encoder = FieldEncoder(
        WordTable(tokenizer, mode), ["text"], "text", 300, segments=mode == "subword"
    )
    examples = [
        Example(f"imdb/{number}", {"text": text}, 0) for number, text in enumerate(reviews[:3])
    ]
    request = SurfaceRequest(
        examples,
        "text",
        "imdb",
        "d",
        load_substitutions("counterfitted", DATA),
        PROTOCOLS["subword"],
        None,
        298,
    )
    surface = load_or_build(tmp_path, request)
    rng = np.random.default_rng(0)
    for example in examples:
        fields = {"text": surface.words(example.id)}
        space = surface.space(example.id, encoder.encode(fields).visible, False, 5.0)
        choices = rng.integers(0, space.sizes, size=(20, len(space.words))).astype(np.int16)
        ids, lengths = encoder.candidates(fields, space).encode(choices)
        for choice, row, length in zip(choices, ids, lengths, strict=True):
            assert (
                row[:length].tolist() == encoder.encode({"text": space.text(choice)}).ids.tolist()
            )


def test_a_review_with_replaced_words_splits_into_the_expected_words(
    reviews: list[str],
) -> None:
    substitutions = load_substitutions("counterfitted", DATA)
    rng = np.random.default_rng(0)
    replaced_words = 0
    for text in reviews:
        words = split_words(text)
        chosen = {}
        for index, word in enumerate(words):
            found = substitutions.of(word, "cased")
            if found:
                chosen[index] = str(rng.choice(found))
        assert split_words(replace_words(text, chosen)) == [
            chosen.get(index, word) for index, word in enumerate(words)
        ]
        replaced_words += len(chosen)
    assert replaced_words > 100
