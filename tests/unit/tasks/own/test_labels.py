"""Labels of the user's data: names, numbers, and what is no label."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench._base.errors import UsageError
from robench.tasks.own.labels import Labels, read_labels
from robench.tasks.own.tables import Table


def table(cells: Sequence[Any], classes: tuple[str, ...] = ()) -> Table:
    names = {"label": classes} if classes else {}
    return Table("x.csv", ("label",), lambda _: cells, len(cells), class_names=names)


def read(cells: Sequence[Any], classes: tuple[str, ...] = (), wanted: Sequence[str] = ()) -> Labels:
    return read_labels([(table(cells, classes), "label")], wanted)


@pytest.mark.parametrize(
    ("cells", "names", "numbers"),
    [
        (["pos", " neg", "pos "], ("neg", "pos"), (1, 0, 1)),
        (["1", "2", "10"], ("1", "2", "10"), (0, 1, 2)),
        ([2, 1, 2], ("1", "2"), (1, 0, 1)),
        ([0.0, 1.0], ("0", "1"), (0, 1)),
        (["0.0", "1.0"], ("0", "1"), (0, 1)),
        ([True, False], ("false", "true"), (1, 0)),
        (["TRUE", "False"], ("false", "true"), (1, 0)),
        (["True", "maybe"], ("True", "maybe"), (0, 1)),
        (["-1", "0", "1"], ("-1", "0", "1"), (0, 1, 2)),
        (["none", "NA", "1"], ("1", "NA", "none"), (2, 1, 0)),
        (["not  ok", "ok"], ("not ok", "ok"), (0, 1)),
    ],
)
def test_cells_become_names_and_names_become_numbers(
    cells: list[Any], names: tuple[str, ...], numbers: tuple[int, ...]
) -> None:
    labels = read(cells)
    assert (labels.names, labels.of) == (names, (numbers,))


@given(
    st.lists(st.sampled_from(["b", "a", "C", "10", "9", "x y"]), min_size=1),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_rows_does_not_matter(cells: list[str], rng: random.Random) -> None:
    shuffled = list(cells)
    rng.shuffle(shuffled)
    assert read(cells).names == read(shuffled).names


@given(st.lists(st.integers(-5, 20), min_size=1))
def test_a_number_has_one_name_in_every_format(cells: list[int]) -> None:
    as_texts, as_floats = [str(cell) for cell in cells], [float(cell) for cell in cells]
    assert read(cells) == read(as_texts) == read(as_floats)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", r"The label is missing in row 2 of x\.csv \(column 'label'\)"),
        ("  ", "is missing in row 2"),
        ("NaN", "is missing in row 2"),
        (None, "is missing in row 2"),
        (float("nan"), "is missing in row 2"),
        (4.5, "is 4.5. Scores are no labels"),
        ("0.25", "Scores are no labels"),
        ([1, 0], "is a list. A label is a name"),
        ({"a": 1}, "is a dict"),
    ],
)
def test_a_cell_that_is_no_label_is_refused_with_its_row(cell: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(["1", cell, "0"])


def test_a_column_with_too_many_values_is_no_label() -> None:
    with pytest.raises(UsageError, match="has 120 different values in 120 rows, so it is no label"):
        read([f"text {n}" for n in range(120)])
    assert len(read([f"intent {n % 60}" for n in range(600)]).names) == 60


def test_the_numbers_are_shown_with_the_names() -> None:
    assert read(["pos", "neg"]).remarks == (
        "Labels of x.csv: 0 = 'neg', 1 = 'pos' (in alphabetical order).",
    )
    assert read([2, 1]).remarks == (
        "Labels of x.csv: 0 = '1', 1 = '2' (in the order of the numbers).",
    )
    many = read([f"i{n:02}" for n in range(20)] * 3).remarks[0]
    assert "11 = 'i11' and 8 more" in many


def test_doubtful_labels_are_told() -> None:
    assert "Label -1 counts as a label of its own." in read([-1, 0, 1]).remarks[1]
    assert "capital letters only: Pos, pos." in read(["Pos", "pos", "neg"]).remarks[1]


def test_names_of_classes_come_from_the_data_in_their_order() -> None:
    labels = read([1, 0, -1, 1], classes=("spam", "ham"))
    assert labels == Labels(
        ("spam", "ham"), ((1, 0, None, 1),), ("Labels of x.csv: 0 = 'spam', 1 = 'ham'.",)
    )
    # Their own names may stand in the cells.
    assert read(["ham", "spam"], classes=("spam", "ham")).of == ((1, 0),)
    with pytest.raises(UsageError, match=r"'2' in row 2 .* is none of its classes: spam, ham"):
        read([1, 2], classes=("spam", "ham"))
    with pytest.raises(UsageError, match=r"No row of x.csv has a label: .* -1 everywhere"):
        read([-1, -1], classes=("spam", "ham"))


def test_several_tables_share_their_names() -> None:
    tables = [(table(["b", "c"]), "label"), (table(["a", "c"]), "label")]
    labels = read_labels(tables)
    assert (labels.names, labels.of) == (("a", "b", "c"), ((1, 2), (0, 2)))


def test_wanted_names_keep_their_order_and_need_not_all_occur() -> None:
    labels = read(["Positive", "positive"], wanted=("negative", "positive"))
    assert (labels.names, labels.of) == (("negative", "positive"), ((1, 1),))
    with pytest.raises(UsageError, match=r"labels of x.csv \(0, 1\) are not .* \(negative, pos"):
        read([0, 1], wanted=("negative", "positive"))
