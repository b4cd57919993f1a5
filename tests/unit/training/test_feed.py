"""Batches are the same whether they are made ahead or when they are needed."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import pytest
import torch
from victim_cases import Synonyms, tokenizer

from robench import Example
from robench.models.batch import Batch
from robench.models.mixtures import PackedSubstitutes, pack_substitutes
from robench.models.victim import build_reader
from robench.protocol import get_protocol
from robench.training.data import EncodedExamples, SubstituteTable, encode_examples
from robench.training.feed import AHEAD, feed

CHOSEN = [[0, 1], [2], [1, 0, 2], [2, 1], [0], [1], [2, 0]]


class OwnDevice:
    """What ``torch.device`` returns for a device that is no CPU."""

    type = "some-gpu"


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make batches ahead, though the device is a CPU."""
    monkeypatch.setattr(torch, "device", lambda name: OwnDevice())
    monkeypatch.setattr(Batch, "pinned", lambda batch: batch)


def texts() -> EncodedExamples:
    table, reader = build_reader(tokenizer(), get_protocol("rift2021"), ["text"], "text", 12)
    known = SubstituteTable(table, Synonyms(), "cased")
    examples = [
        Example(f"t/{index}", {"text": text}, index % 2)
        for index, text in enumerate(("film good noun1", "a bad", "good bad good film noun1"))
    ]
    return encode_examples(examples, reader, known, "text", segments=False)


def equal(one: Batch, other: Batch) -> bool:
    def parts(batch: Batch) -> list[Any]:
        packed = batch.packed_before
        assert isinstance(packed, PackedSubstitutes)
        return [batch.input_ids, batch.labels, batch.substitute_ids, packed.ids, packed.slots]

    return all(torch.equal(a, b) for a, b in zip(parts(one), parts(other), strict=True))


@pytest.mark.usefixtures("ahead")
def test_batches_made_ahead_are_those_made_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    early = list(feed(texts(), CHOSEN, "cpu", substitutes=True))
    monkeypatch.undo()
    late = list(feed(texts(), CHOSEN, "cpu", substitutes=True))
    assert len(early) == len(CHOSEN)
    assert all(equal(one, other) for one, other in zip(early, late, strict=True))


@pytest.mark.usefixtures("ahead")
def test_another_thread_makes_a_few_batches_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def share(batch: Batch) -> Batch:
        made.append(threading.current_thread().name)
        return batch

    batches = feed(texts(), CHOSEN, "cpu", substitutes=False, share=share)
    next(batches)
    assert len(made) <= AHEAD + 1
    assert all(name.startswith("robench-batches") for name in made)
    assert isinstance(batches, Generator)
    batches.close()
    assert len(made) <= AHEAD + 1


@pytest.mark.usefixtures("ahead")
def test_an_error_while_a_batch_is_made_reaches_the_loop() -> None:
    with pytest.raises(IndexError):
        list(feed(texts(), [[0], [99]], "cpu", substitutes=False))


def test_a_batch_knows_its_values_until_a_part_is_replaced() -> None:
    from dataclasses import replace

    (batch,) = feed(texts(), [[0, 1, 2]], "cpu", substitutes=True)
    assert batch.lengths.tolist() == [5, 4, 7]
    assert batch.on_host("labels").tolist() == [0, 1, 0]
    assert pack_substitutes(batch) is batch.packed_before
    assert batch.substitute_mask is not None
    only_own = torch.zeros_like(batch.substitute_mask)
    only_own[:, :, 0] = True
    changed = replace(batch, substitute_mask=only_own, labels=1 - batch.labels)
    assert changed.packed_before is None
    assert len(pack_substitutes(batch).positions)
    assert changed.on_host("labels").tolist() == [1, 0, 1]


def test_a_share_knows_its_own_values() -> None:
    (batch,) = feed(texts(), [[0, 1, 2]], "cpu", substitutes=True)
    share = batch.share(1, 2)
    assert share.known["labels"][1].tolist() == [1]
    assert share.on_host("labels").tolist() == share.labels.tolist() == [1]
    assert share.packed_before is None
    assert batch.share(5, 6).on_host("labels").tolist() == [0]
