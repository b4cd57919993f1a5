"""The toy tasks of the test kits.

They are balanced, their splits do not overlap, they are easy, and they leave something to attack.
"""

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
        counts = Counter(example.label for example in part)
        assert set(counts.values()) == {size // len(task.labels)}
    everything = [*made.train, *made.dev, *made.test]
    texts = [tuple(example.fields.values()) for example in everything]
    assert len(set(texts)) == len(texts)
    assert task().load(DataSource()).digest == splits(task).digest != made.digest


def test_the_toy_tasks_say_that_they_are_made_up() -> None:
    for name, task in (("toy-opinions", Opinions), ("toy-pairs", Pairs)):
        assert TASKS.get(name) is task
        assert task.synthetic
        assert splits(task).origin == "made up"


def test_the_last_word_of_a_group_occurs_only_as_a_substitute() -> None:
    words: set[str] = set()
    for task in (Opinions, Pairs):
        for example in examples(task, "train", 96):
            for text in example.fields.values():
                words.update(text.split())
    assert {*GOOD[:-1], *BAD[:-1]} <= words
    assert not {GOOD[-1], BAD[-1]} & words
    assert GOOD[-1] in Synonyms().of(GOOD[0], "cased")
    assert Synonyms().of("noun1", "cased") == ()


def test_a_label_follows_from_the_opinion_words() -> None:
    for example in (*examples(Opinions, "train", 20), *examples(Pairs, "train", 21)):
        words = set(list(example.fields.values())[-1].split())
        assert [bool(words & set(BAD)), bool(words & set(GOOD))] == [
            example.label == 0,
            example.label == 1,
        ]


def test_the_toy_encoder_is_reproducible_and_separates_good_from_bad(tmp_path: Path) -> None:
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
