"""The window, the chunks and slow tokenizers, each against the tokenizer itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from given_cases import CORPUS, FAMILIES, make_job, save_model, source
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.models.given.chunks import ChunkTable, NotByChunk, chunk_ends, stands_alone
from robench.models.given.description import UNBOUNDED_WINDOW, describe_given
from robench.models.given.loading import load_given
from robench.models.given.reader import TextReader
from robench.models.given.window import Window
from robench.text.layout import template

BERT, _ = FAMILIES["bert"]()
WORD = BERT("a", add_special_tokens=False)["input_ids"][0]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=2),
    max_tokens=st.integers(6, 40),
    from_left=st.booleans(),
)
def test_a_window_cuts_where_the_tokenizer_cuts(
    lengths: list[int], max_tokens: int, from_left: bool
) -> None:
    BERT.truncation_side = "left" if from_left else "right"
    words = ["film", "good", "bad", "plot", "the", "it", "actors"]
    texts = [" ".join(words[at % 7] for at in range(length)) for length in lengths]
    whole = BERT(texts, add_special_tokens=False)["input_ids"]
    window = Window(template(BERT, len(texts)), max_tokens, 0, from_left)
    ids, types = window.row(whole)
    # In a list an empty second text is a text; alone, transformers takes it for none.
    expected = BERT(*([text] for text in texts), truncation=True, max_length=max_tokens)
    assert ids == expected["input_ids"][0]
    assert types == expected["token_type_ids"][0]


def test_chunks_end_at_single_blanks_only() -> None:
    text = "  The film's  \u201cplot\u201d is\nbad , and\u00a0 it ends "
    ends = chunk_ends(text, [])
    starts = [0, *(end + 1 for end in ends[:-1])]
    chunks = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    assert chunks == ["  The", "film's  \u201cplot\u201d", "is\nbad", ",", "and\u00a0 it", "ends "]
    assert " ".join(chunks) == text
    # A word of two parts is never cut.
    assert chunk_ends("New York city", [(0, 8), (9, 13)]) == [8, 13]
    assert [stands_alone(chunk) for chunk in ("a b", "", " a", "a\n")] == [
        True,
        False,
        False,
        False,
    ]


def test_a_chunk_that_changes_its_neighbour_is_noticed() -> None:
    class Joining:
        """Makes one token of a whole text."""

        def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
            return {"input_ids": [[len(text)] for text in texts]}

    table = ChunkTable(Joining())
    assert table.ids([("film", True)]) == [(4,)]
    with pytest.raises(NotByChunk):
        table.ids([("film", False)])


def test_a_slow_tokenizer_is_read_as_it_is(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    BERT.save_pretrained(tmp_path)
    words = sorted(BERT.get_vocab(), key=BERT.get_vocab().__getitem__)
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    slow = BertTokenizer(str(tmp_path / "vocab.txt"))
    assert not slow.is_fast
    reader = TextReader(slow, ("premise", "text"), "text", 16, 1000, types=True)
    texts = {"premise": CORPUS[0], "text": CORPUS[1]}
    expected = slow(*texts.values(), truncation=True, max_length=16)["input_ids"]
    row = reader.read(texts).ids
    assert (row % 1000).tolist() == expected
    job = make_job(texts, "text", 0)
    seen = reader.visible(job.words, texts)
    assert 0 < seen < len(job.space.words)
    ids, lengths = reader.candidates(job.words, job.space, texts).encode(
        np.zeros((2, len(job.space.words)), dtype=np.int16)
    )
    assert ids[1, : lengths[1]].tolist() == row.tolist()


def test_words_of_another_text_are_joined(tmp_path: Path) -> None:
    victim = load_given(source(save_model(tmp_path / "bert")))
    job = make_job({"text": "good film"}, "text", 0)
    candidates = victim.encoder_fields.candidates(job.words, job.space, {"text": "another text"})
    ids, _ = candidates.encode(np.zeros((1, 2), dtype=np.int16))
    assert ids[0].tolist() == victim.read({"text": "good film"}).ids.tolist()
    with pytest.raises(ValueError, match="words are not those of field 'text'"):
        victim.encoder_fields.candidates({"text": ("x",)}, job.space, {"text": "x"})


@pytest.mark.parametrize(
    ("family", "tokenizer_limit", "window"),
    [
        ("roberta", None, 48),
        ("roberta", 20, 20),
        ("xlnet", None, UNBOUNDED_WINDOW),
        ("gpt2", None, 48),
    ],
)
def test_the_smallest_bound_is_the_window(
    tmp_path: Path, family: str, tokenizer_limit: int | None, window: int
) -> None:
    from transformers import AutoTokenizer

    folder = save_model(tmp_path / family, family)
    if tokenizer_limit is not None:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        tokenizer.model_max_length = tokenizer_limit
        tokenizer.save_pretrained(folder)
    info = describe_given(source(folder))
    assert info.max_tokens == window
    victim = load_given(source(folder))
    # The longest row does not exceed the model's table of positions.
    assert np.isfinite(victim.probs_of_texts([{"text": "film " * 600}])).all()
