"""The toy tasks of the kits are what their checks take them for: balanced, without overlap, easy, and with something left to be fooled by."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from robench import TASKS, DataSource, Task
from robench.models.encoders import find_encoder, fingerprint, load_encoder, load_tokenizer
from robench.testing.opinions import (
    BAD,
    GOOD,
    MAX_TOKENS,
    Opinions,
    Pairs,
    Synonyms,
    examples,
    splits,
    tokenizer,
    write_encoder,
)


@pytest.mark.parametrize("task", [Opinions, Pairs])
def test_splits_are_balanced_and_share_nothing(task: type[Task]) -> None:
    made = splits(task, 12, 6, 6)
    for part, size in ((made.train, 12), (made.dev, 6), (made.test, 6)):
        assert set(Counter(example.label for example in part).values()) == {
            size // len(task.labels)
        }
    texts = [
        tuple(example.fields.values())
        for part in (made.train, made.dev, made.test)
        for example in part
    ]
    assert len(set(texts)) == len(texts)
    assert task().load(DataSource()).digest == splits(task).digest != made.digest


def test_they_say_that_they_are_made_up() -> None:
    for name, task in (("toy-opinions", Opinions), ("toy-pairs", Pairs)):
        assert TASKS.get(name) is task
        assert task.synthetic
        assert splits(task).origin == "made up"


def test_the_last_word_of_a_group_is_met_as_a_substitute_only() -> None:
    words = {
        word
        for task in (Opinions, Pairs)
        for example in examples(task, "train", 96)
        for text in example.fields.values()
        for word in text.split()
    }
    assert {*GOOD[:-1], *BAD[:-1]} <= words
    assert not {GOOD[-1], BAD[-1]} & words
    assert GOOD[-1] in Synonyms().of(GOOD[0], "cased")
    assert Synonyms().of("noun1", "cased") == ()


def test_labels_are_those_of_the_opinions() -> None:
    for example in (*examples(Opinions, "train", 20), *examples(Pairs, "train", 21)):
        words = set(list(example.fields.values())[-1].split())
        assert [bool(words & set(BAD)), bool(words & set(GOOD))] == [
            example.label == 0,
            example.label == 1,
        ]


def test_the_encoder_is_the_same_each_time_and_knows_the_sides(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (find_encoder(str(write_encoder(tmp_path / name))) for name in ("one", "two"))
    assert torch.equal(torch.rand(1), expected)
    assert fingerprint(first) == fingerprint(second)
    encoder = load_encoder(first)
    assert encoder.config.max_position_embeddings >= MAX_TOKENS > 300
    table, numbers = encoder.get_input_embeddings().weight, load_tokenizer(first).get_vocab()
    assert numbers == tokenizer().get_vocab()
    known = torch.stack([table[numbers[word]] for word in (*GOOD[:-1], *BAD[:-1])]).detach()
    alike = torch.nn.functional.cosine_similarity(known[:, None], known[None], dim=-1)
    assert alike[:3, :3].min() > 0.3
    assert alike[:3, 3:].max() < -0.3
