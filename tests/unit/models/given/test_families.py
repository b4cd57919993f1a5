"""Every family of models is read as plain transformers reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from given_cases import (
    AWKWARD,
    FAMILIES,
    MAX_TOKENS,
    make_job,
    plain_ids,
    plain_probs,
    save_model,
    source,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.models.given.loading import load_given
from robench.models.given.victim import GivenVictim
from robench.search.judge import fields_with_choice

PADDING = {"xlnet": "left"}
LONG = AWKWARD[6]


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp(request.param) / request.param, request.param)


@pytest.fixture(scope="module")
def single(folder: Path) -> GivenVictim:
    return load_given(source(folder))


@pytest.fixture(scope="module")
def pair(folder: Path) -> GivenVictim:
    return load_given(source(folder, ("premise", "text")))


def test_the_window_and_the_padding_are_the_models_own(folder: Path, single: GivenVictim) -> None:
    assert single.max_tokens == (512 if folder.name == "xlnet" else MAX_TOKENS)
    assert single.padding == PADDING.get(folder.name, "right")
    assert single.encoder_fields.by_chunk


def test_probabilities_are_those_of_plain_transformers(folder: Path, single: GivenVictim) -> None:
    found = single.probs_of_texts([{"text": text} for text in AWKWARD])
    expected = [plain_probs(folder, [text], single.max_tokens) for text in AWKWARD]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    # The model is not indifferent, so equal numbers mean something.
    assert np.ptp(found[:, 0]) > 0.01


def test_probabilities_of_pairs_are_those_of_plain_transformers(
    folder: Path, pair: GivenVictim
) -> None:
    texts = [(one, other) for one in AWKWARD[:7] for other in (AWKWARD[1], LONG)]
    found = pair.probs_of_texts([{"premise": one, "text": other} for one, other in texts])
    expected = [plain_probs(folder, both, pair.max_tokens) for both in texts]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_candidates_are_tokenised_as_their_strings(
    folder: Path, single: GivenVictim, pair: GivenVictim, data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from(AWKWARD))
    for victim, texts in (
        (single, {"text": text}),
        (pair, {"premise": data.draw(st.sampled_from(AWKWARD)), "text": text}),
    ):
        job = make_job(texts, "text", 0)
        reader = victim.encoder_fields
        candidates = reader.candidates(job.words, job.space, texts)
        choices = np.array(
            [
                [data.draw(st.integers(0, size - 1)) for size in job.space.sizes.tolist()]
                for _ in range(3)
            ],
            dtype=np.int16,
        )
        ids, lengths = candidates.encode(choices)
        for row, length, choice in zip(ids, lengths, choices, strict=True):
            changed = fields_with_choice(job, "text", choice)
            plain = plain_ids(folder, [changed[name] for name in reader.fields], victim.max_tokens)
            row = row[:length]
            assert (row % victim.stride).tolist() == plain["input_ids"][0].tolist()
            types = plain.get("token_type_ids")
            if reader.types:
                assert (row // victim.stride).tolist() == types[0].tolist()
        removed, sizes = candidates.encode_without(choices[0], np.array([0]))
        changed = fields_with_choice(job, "text", choices[0], {0: reader.unknown})
        plain = plain_ids(folder, [changed[name] for name in reader.fields], victim.max_tokens)
        assert (removed[0, : sizes[0]] % victim.stride).tolist() == plain["input_ids"][0].tolist()


def test_padded_rows_have_the_logits_of_rows_alone(single: GivenVictim) -> None:
    rows = [single.read({"text": text}).ids for text in AWKWARD[:6]]
    lengths = np.array([len(row) for row in rows])
    width = min(int(lengths.max()) + 3, single.max_tokens)
    ids = np.full((len(rows), width), single.table.pad_id)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    alone = np.concatenate([single.logits(row[None], np.array([len(row)])) for row in rows])
    np.testing.assert_allclose(single.logits(ids, lengths), alone, rtol=0, atol=1e-4)


def test_words_beyond_the_window_are_not_visible(single: GivenVictim) -> None:
    text = LONG * 6
    job = make_job({"text": text}, "text", 0)
    seen, words = single.encoder_fields.visible(job.words, {"text": text}), job.space.words
    assert 0 < seen < len(words)
    # The last visible word counts in the row, and a word well behind it does not.
    original = np.zeros(len(words), dtype=np.int16)
    candidates = single.encoder_fields.candidates(job.words, job.space, {"text": text})
    (row,), _ = candidates.encode(original[None])
    ids, lengths = candidates.encode_without(original, np.array([seen - 1, seen + 1]))
    assert lengths.tolist() == [len(row), len(row)]
    assert [np.array_equal(one, row) for one in ids] == [False, True]


def test_a_short_text_is_visible_as_a_whole(single: GivenVictim) -> None:
    job = make_job({"text": AWKWARD[0]}, "text", 0)
    assert single.encoder_fields.visible(job.words, {"text": AWKWARD[0]}) == len(job.space.words)
