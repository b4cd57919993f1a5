"""Adversarial examples of runs: how many, how long, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_runs import TRIALS, write_run

from robench._base.errors import UsageError
from robench.records.marked_text import Piece
from robench.records.run_folder import RunFolder
from robench.site.example_data import CONTEXT, LONG, excerpt, read_examples


def test_fooled_examples_come_with_their_changes(tmp_path: Path) -> None:
    write_run(tmp_path)
    found = read_examples([tmp_path], 10).found
    assert [each.cost for each in found] == [
        "1 word changed, 12 queries",
        "2 words changed, 40 queries",
    ]
    assert found[0].outcome == "positive (0.98) -> negative (0.61)"
    (field,) = found[0].fields
    assert [piece for piece in field.pieces if piece.changed] == [Piece("good", "fine")]


def test_the_number_is_bounded_and_shared_by_the_cells(tmp_path: Path) -> None:
    for attack in ("genetic", "pwws"):
        write_run(tmp_path, attack=attack)
    assert len(read_examples([tmp_path], 2).found) == 2
    assert {each.attack for each in read_examples([tmp_path], 2).found} == {"genetic", "pwws"}
    assert len(read_examples([tmp_path], 1).found) == 1


def test_examples_of_a_victim_are_found_by_its_weights(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    other = write_run(tmp_path, defense="rift")
    examples = read_examples([tmp_path], 10)
    assert {each.row for each in examples.about([record], 5)} == {"standard"}
    assert len(examples.about([record, other], 3)) == 3


def test_a_cell_without_trials_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    lost = write_run(tmp_path, attack="pwws")
    write_run(tmp_path)
    RunFolder(tmp_path).trials_file(lost.cell_name).unlink()
    examples = read_examples([tmp_path], 10)
    assert {each.attack for each in examples.found} == {"genetic"}
    (problem,) = examples.problems
    assert "The trials are missing" in problem


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There are no results in .* Name the folder"):
        read_examples([tmp_path], 10)


def test_a_run_in_which_nothing_was_fooled_has_no_examples(tmp_path: Path) -> None:
    held = [each for each in TRIALS if str(each.verdict) != "fooled"]
    write_run(tmp_path, held, limit=4)
    assert read_examples([tmp_path], 10).found == []


def test_a_short_text_is_shown_as_a_whole() -> None:
    parts = [Piece("a " * 100, "a " * 100), Piece("b", "c")]
    assert excerpt(parts) == parts


def test_of_a_long_text_the_changes_are_shown_with_what_stands_around() -> None:
    long = "word " * 200
    shown = excerpt([Piece(long, long), Piece("b", "c"), Piece(long, long), Piece("d", "e")])
    assert [piece.changed for piece in shown] == [False, True, False, True]
    assert shown[0].old.startswith("[…] ")
    assert shown[2].old.count("[…]") == 1
    assert sum(len(piece.old) for piece in shown) < 4 * CONTEXT + 40


def test_a_long_field_without_a_change_is_cut_at_its_end() -> None:
    (piece,) = excerpt([Piece("x" * 5000, "x" * 5000)])
    assert piece.old == "x" * LONG + " […]"
