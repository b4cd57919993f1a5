"""The shared memory of a device process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.search.shapes import Bucket, Shapes
from robench.search.shared_device.slots import LETTERS, Rows, SharedSlots, SlotSizes, State

SIZES = SlotSizes(places=3, depth=2, rows=8, tokens=64, classes=3)


def rows_of(rows: int, tokens: int, types: bool = True, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    ids = random.integers(0, 2**31 - 1, (rows, tokens)).astype(np.int32)
    return Rows(
        ids,
        random.integers(1, tokens + 1, rows).astype(np.int32),
        random.integers(0, 2, (rows, tokens)).astype(np.int8) if types else None,
    )


def same(found: Rows, rows: Rows) -> bool:
    return all(
        (one is None and other is None) or np.array_equal(one, other)  # type: ignore[arg-type]
        for one, other in zip(found, rows, strict=True)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.booleans())
def test_a_slot_holds_rows_and_answers_of_any_size(rows: int, tokens: int, types: bool) -> None:
    slot = SharedSlots(SIZES).of(1)[1]
    written = rows_of(rows, tokens, types, seed=rows * tokens)
    slot.write(written)
    logits = np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32)
    slot.answer(logits)
    assert same(slot.read(rows, tokens, types), written)
    assert np.array_equal(slot.answers(rows, 3), logits)


def test_slots_do_not_overlap() -> None:
    shared = SharedSlots(SIZES)
    slots = [slot for place in range(3) for slot in shared.of(place)]
    assert len(slots) == 6
    full = [rows_of(8, 8, seed=number) for number in range(6)]
    answers = [np.full((8, 3), number, dtype=np.float32) for number in range(6)]
    letters = []
    for number, slot in enumerate(slots):
        slot.write(full[number])
        slot.answer(answers[number])
        slot.state = State(number % 4)
        letters.append(slot.fail(str(number) * LETTERS))
    shared.count_answer()
    for number, slot in enumerate(slots):
        assert same(slot.read(8, 8, True), full[number])
        assert np.array_equal(slot.answers(8, 3), answers[number])
        assert slot.state == State(number % 4)
        assert slot.error(letters[number]) == str(number) * LETTERS
    assert shared.answered == 1


def test_answers_are_a_copy() -> None:
    slot = SharedSlots(SIZES).of(0)[0]
    slot.answer(np.ones((2, 3), dtype=np.float32))
    found = slot.answers(2, 3)
    slot.answer(np.zeros((2, 3), dtype=np.float32))
    assert found.tolist() == [[1, 1, 1]] * 2


def test_rows_and_answers_that_are_too_large_are_refused() -> None:
    slot = SharedSlots(SIZES).of(0)[0]
    for rows, tokens in ((9, 1), (8, 9), (1, 65)):
        with pytest.raises(ValueError, match="does not fit into a slot of 8 rows and 64 tokens"):
            slot.write(rows_of(rows, tokens))
    for shape in ((9, 3), (8, 4), (24,)):
        with pytest.raises(ValueError, match="do not fit into a slot"):
            slot.answer(np.zeros(shape, dtype=np.float32))


def test_a_long_error_is_cut() -> None:
    slot = SharedSlots(SIZES).of(0)[0]
    letters = slot.fail("ä" * LETTERS)
    assert letters == LETTERS
    assert slot.error(letters).startswith("ää")
    assert slot.error(slot.fail("short")) == "short"


@pytest.mark.parametrize("longest", [12, 300, 512])
@pytest.mark.parametrize(
    "shapes",
    [
        Shapes(),
        Shapes(tokens=32768, most=512, fixed=True),
        Shapes(tokens=32768, most=512, fixed=True, exact=True),
        Shapes(most=1, floor=1, fixed=True),
        Shapes(tokens=64, most=8, floor=4, fixed=True),
    ],
)
def test_every_forward_pass_of_the_shapes_fits(shapes: Shapes, longest: int) -> None:
    sizes = SlotSizes.of(shapes, longest, classes=2, places=2, depth=3)
    for length in range(1, longest + 1):
        for small in (False, True):
            bucket = Bucket(shapes.padded(length, longest), small=small)
            for count in (1, shapes.rows(bucket)):
                rows = shapes.filled(count, bucket)
                assert rows <= sizes.rows
                assert rows * bucket.length <= sizes.tokens


def test_the_memory_has_no_name_that_could_stay_behind() -> None:
    shared = SharedSlots(SIZES)
    shared.count_answer()
    folder = Path("/dev/shm")
    names = [path.name for path in folder.glob("pym-*")]
    assert not [name for name in names if name.startswith(f"pym-{os.getpid()}-")]
