"""Encoded examples: token ids, substitution slots, padding and joining."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from victim_cases import BAD, GOOD, Synonyms, tokenizer

from robench import Example
from robench.models.victim import build_reader
from robench.protocol import get_protocol
from robench.training.data import EncodedExamples, SubstituteTable, encode_examples, pad_rows


def encode(
    *texts: str, protocol: str = "rift2021", premise: str | None = None, substitutes: object = None
) -> EncodedExamples:
    fields = ["text"] if premise is None else ["premise", "text"]
    table, reader = build_reader(tokenizer(), get_protocol(protocol), fields, "text", 12)
    examples = [
        Example(f"t/{index}", {"premise": premise or "", "text": text}, index % 2)
        for index, text in enumerate(texts)
    ]
    if premise is None:
        examples = [
            Example(example.id, {"text": example.fields["text"]}, example.label)
            for example in examples
        ]
    known = SubstituteTable(table, substitutes or Synonyms(), "cased")  # type: ignore[arg-type]
    return encode_examples(
        examples, reader, known, "text", segments=get_protocol(protocol).pair_segments
    )


def words(ids: torch.Tensor) -> list[str]:
    made: list[str] = tokenizer().convert_ids_to_tokens(ids.tolist())
    return made


def test_a_batch_carries_each_words_substitutes() -> None:
    batch = encode("film good noun1", "a bad").batch([0, 1], substitutes=True)
    assert words(batch.input_ids[0]) == ["[CLS]", "film", "good", "noun1", "[SEP]"]
    assert words(batch.input_ids[1]) == ["[CLS]", "a", "bad", "[SEP]", "[PAD]"]
    assert batch.attention_mask.tolist() == [[1] * 5, [1, 1, 1, 1, 0]]
    assert batch.labels.tolist() == [0, 1]
    assert batch.token_type_ids is None
    assert batch.substitute_ids is not None
    assert batch.substitute_mask is not None
    assert words(batch.substitute_ids[0, 2]) == list(GOOD)
    assert words(batch.substitute_ids[1, 2]) == list(BAD)
    assert words(batch.substitute_ids[0, 1]) == ["film"] * 4
    assert batch.substitute_mask[0].tolist() == [
        [True] + [False] * 3,
        [True] + [False] * 3,
        [True] * 4,
        [True] + [False] * 3,
        [True] + [False] * 3,
    ]


def test_a_batch_has_slots_only_when_they_are_asked_for() -> None:
    assert encode("film good").batch([0]).substitute_ids is None


def test_slots_are_as_many_as_the_batch_needs() -> None:
    examples = encode("film good", "a film")
    shapes = []
    for indices in ([0, 1], [1]):
        ids = examples.batch(indices, substitutes=True).substitute_ids
        assert ids is not None
        shapes.append(ids.shape)
    assert shapes == [(2, 4, 4), (1, 4, 1)]


def test_only_the_attackable_field_has_substitutes() -> None:
    batch = encode("a good", premise="good bad").batch([0], substitutes=True)
    assert words(batch.input_ids[0]) == ["[CLS]", "good", "bad", "[SEP]", "a", "good", "[SEP]"]
    assert batch.substitute_mask is not None
    assert batch.substitute_mask.sum(-1)[0].tolist() == [1, 1, 1, 1, 1, 4, 1]


def test_token_types_follow_the_protocol() -> None:
    pair = encode("a good", premise="film", protocol="subword").batch([0])
    assert pair.token_type_ids is not None
    assert pair.token_type_ids.tolist() == [[0, 0, 0, 1, 1, 1]]


def test_words_beyond_the_window_have_no_substitutes() -> None:
    batch = encode(" ".join(["film"] * 9 + ["good", "good", "good"])).batch([0], substitutes=True)
    assert batch.input_ids.shape == (1, 12)
    assert batch.substitute_mask is not None
    assert (batch.substitute_mask.sum(-1) > 1).sum() == 1


class Odd:
    """Substitutes that share a token, equal the word's own token or are unknown."""

    def of(self, word: str, lookup: str) -> tuple[str, ...]:
        return {
            "good": ("fine", "strange1", "strange2", "GOOD", "fine"),
            "strange3": ("strange4", "good"),
        }.get(word, ())


def test_substitutes_that_share_a_token_make_one_slot() -> None:
    batch = encode("good strange3", substitutes=Odd()).batch([0], substitutes=True)
    assert batch.substitute_ids is not None
    assert batch.substitute_mask is not None
    assert [
        words(row[mask])
        for row, mask in zip(batch.substitute_ids[0], batch.substitute_mask[0], strict=True)
    ] == [
        ["[CLS]"],
        ["good", "fine", "[UNK]"],
        ["[UNK]", "good"],
        ["[SEP]"],
    ]


def test_words_of_several_pieces_stay_themselves_in_the_hull() -> None:
    """In protocol ``subword`` only a word and a substitute of one piece each can be mixed."""

    class Several:
        def of(self, word: str, lookup: str) -> tuple[str, ...]:
            return {"good": ("fine!", "great"), "good!": ("fine",)}.get(word, ())

    table, _ = build_reader(tokenizer(), get_protocol("subword"), ["text"], "text", 12)
    known = SubstituteTable(table, Several(), "lower")
    assert table.ids("fine!") != table.ids("fine")
    assert len(known._substitute_ids("good")) + len(known._substitute_ids("good!")) <= 2
    for word, row in (
        ("good", known._substitute_ids("good")),
        ("good!", known._substitute_ids("good!")),
    ):
        assert all(len(table.ids(word)) == 1 for _ in row)


def test_a_repeated_word_is_not_looked_up_again() -> None:
    asked: list[str] = []

    class Counting(Synonyms):
        def of(self, word: str, lookup: str) -> tuple[str, ...]:
            asked.append(word)
            return super().of(word, lookup)

    encode("good good good", "good bad", substitutes=Counting())
    # Once to tokenise the substitutes of all words together, and once for the word's own row.
    assert max(asked.count(word) for word in set(asked)) <= 2


def test_rows_are_padded_on_the_right_and_keep_their_type() -> None:
    rows = [np.array([1, 2], dtype=np.int32), np.array([3], dtype=np.int32)]
    assert pad_rows(rows, 7).tolist() == [[1, 2], [3, 7]]
    assert pad_rows(rows, 7).dtype == np.int32


@pytest.mark.parametrize("indices", [[1, 0], [0, 0, 1]])
def test_rows_come_in_the_order_asked_for(indices: list[int]) -> None:
    examples = encode("film good", "bad a")
    assert examples.batch(indices).labels.tolist() == [index % 2 for index in indices]
    assert len(examples) == 2
    assert examples.lengths == [4, 4]


def test_joined_examples_make_the_batches_of_one_reading() -> None:
    """Batches and substitutes are those of one reading, although half was read later."""
    table, reader = build_reader(tokenizer(), get_protocol("rift2021"), ["text"], "text", 12)
    known = SubstituteTable(table, Synonyms(), "cased")
    texts = [
        Example(f"t/{index}", {"text": text}, index % 2)
        for index, text in enumerate(("film good", "a film", "a bad film", "great"))
    ]
    one, other = (
        encode_examples(part, reader, known, "text", segments=False)
        for part in (texts[:2], texts[2:])
    )
    joined, whole = one.joined(other), encode("film good", "a film", "a bad film", "great")
    assert len(joined) == 4
    assert joined.lengths == whole.lengths
    for indices in ([0, 3], [2, 1], [3, 2, 1, 0]):
        ours, theirs = (
            joined.batch(indices, substitutes=True),
            whole.batch(indices, substitutes=True),
        )
        for name in ("input_ids", "attention_mask", "labels", "substitute_ids", "substitute_mask"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    assert len(one) == 2


def test_token_types_are_joined_too() -> None:
    table, reader = build_reader(
        tokenizer(), get_protocol("subword"), ["premise", "text"], "text", 12
    )
    known = SubstituteTable(table, Synonyms(), "lower")
    texts = [
        Example(f"t/{index}", {"premise": "film", "text": text}, 0)
        for index, text in enumerate(("good", "bad film"))
    ]
    one, other = (encode_examples([text], reader, known, "text", segments=True) for text in texts)
    types = one.joined(other).batch([1, 0]).token_type_ids
    assert types is not None
    assert types.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0]]
