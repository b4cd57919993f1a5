"""Columns of a table: the attacks of the worst case, marks, headings and notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robench.records.columns import (
    board_columns,
    common_attacks,
    listed,
    run_columns,
    unbound_attacks,
)
from robench.records.leaderboard import render_run, results_table
from robench.records.record import Record
from robench.records.record_files import RecordsOnDisk
from robench.records.render import main_cells
from robench.records.rows import Gap, build_rows
from robench.records.statistics import Score

MakeRecord = Callable[..., Record]


def mixed(make_record: MakeRecord) -> list[Record]:
    """Two rows: `standard` under genetic, greedy and pwws, `rift` under genetic and pwws."""
    return [
        make_record("WFHH"),
        make_record("WFFF", attack="greedy", surface={"constrained": True}),
        make_record("WHFH", attack="pwws"),
        make_record("WHHH", defense="rift"),
        make_record("WHHF", defense="rift", attack="pwws"),
    ]


def test_the_worst_case_covers_the_attacks_of_every_row_by_hand(make_record: MakeRecord) -> None:
    """Check the worst cases WFFH of standard and WHHF of rift, without `greedy`."""
    records = mixed(make_record)
    columns = run_columns(records)
    assert columns.attacks == ("genetic", "greedy", "pwws")
    assert columns.worst_over == ("genetic", "pwws")
    assert columns.worst_heading == "worst case (genetic, pwws)"
    assert columns.notes[0] == (
        "Worst case: over genetic and pwws, the attacks that every row has. It leaves out greedy."
    )
    rift, standard = build_rows(records, columns.attacks, worst_over=columns.worst_over)
    assert (rift.defense, rift.worst) == ("rift", Score((0.5,), 4))
    assert (standard.defense, standard.worst) == ("standard", Score((0.25,), 4))
    assert rift.under["greedy"] == Gap("absent", 0, 1)


def test_a_whole_table_keeps_its_plain_heading(make_record: MakeRecord) -> None:
    columns = run_columns([make_record("HH"), make_record("HF", defense="rift")])
    assert columns.worst_heading == "worst case"
    assert columns.notes == ()


def test_without_a_common_attack_a_sentence_says_why_there_is_no_worst_case(
    make_record: MakeRecord,
) -> None:
    records = [make_record("HHHF"), make_record("HHHH", attack="pwws", defense="rift")]
    columns = run_columns(records)
    assert (columns.worst_over, columns.worst_heading) == ((), "worst case")
    assert "There is no worst case: no attack has a record in every row." in columns.notes[0]
    assert all(
        row.worst == Gap("absent", 0, 1)
        for row in build_rows(records, columns.attacks, worst_over=())
    )
    assert "There is no worst case" in results_table(records)


def test_an_attack_that_searches_for_nothing_is_in_no_worst_case(make_record: MakeRecord) -> None:
    def clean(**values: Any) -> Record:
        return make_record("WHHH", attack="calm", searches=False, **values)

    rows = [clean(), clean(defense="rift")]
    whole = [*rows, make_record("WFHH"), make_record("WHHH", defense="rift")]
    columns = run_columns(whole)
    assert columns.attacks == ("calm", "genetic")
    # It is no attack that the worst case leaves out, so there is nothing to say.
    assert (columns.worst_over, columns.worst_heading) == (("genetic",), "worst case")
    assert not any("orst case" in note for note in columns.notes)

    # The rows share it alone: the clean accuracy is not their worst case, and ranks nothing.
    apart = run_columns(
        [*rows, make_record("WFHH"), make_record("WHHH", defense="rift", attack="pwws")]
    )
    assert (apart.worst_over, apart.worst_heading) == ((), "worst case")
    assert apart.notes[0] == (
        "There is no worst case: no attack that searches has a record in every row. Evaluate the "
        "missing cells, and it appears."
    )

    alone = run_columns(rows)
    assert (alone.worst_over, alone.worst_heading) == ((), "worst case")
    # It is not missing in some seeds: there is none.
    (row,) = build_rows(rows, alone.attacks, worst_over=alone.worst_over)[:1]
    assert main_cells(row, alone)[-1] == "—"
    assert alone.notes == (
        "There is no worst case: no attack of this table searches for texts that fool the victim. "
        "Evaluate one that does, and it appears.",
    )
    assert "There is no worst case" in results_table(rows)
    assert "There is no worst case" in render_run(RecordsOnDisk({r.file_name: r for r in rows}, {}))


def test_a_board_leaves_out_an_attack_that_searches_for_nothing(make_record: MakeRecord) -> None:
    records = [make_record("WHHH", attack="calm", searches=False), make_record("WFHH")]
    columns = board_columns(["calm", "genetic"], records)
    assert (columns.attacks, columns.worst_over) == (("calm", "genetic"), ("genetic",))
    assert columns.notes == ()


def test_a_board_on_which_nothing_searches_says_that_it_has_no_worst_case(
    make_record: MakeRecord,
) -> None:
    columns = board_columns(["calm"], [make_record("WHHH", attack="calm", searches=False)])
    assert columns.worst_over == ()
    assert [note.split(":")[0] for note in columns.notes] == ["There is no worst case"]
    assert board_columns(["calm"]).notes == ()


def test_an_attack_that_lacks_one_seed_of_a_row_is_not_common(make_record: MakeRecord) -> None:
    records = [make_record("HH", attack=attack, seed=0) for attack in ("genetic", "pwws")]
    assert common_attacks([*records, make_record("HH", seed=1)]) == ["genetic"]
    assert common_attacks([]) == []


def test_a_failed_cell_is_an_error_and_takes_no_attack_away(make_record: MakeRecord) -> None:
    records = [*mixed(make_record)[:-1], make_record("WHHE", defense="rift", attack="pwws")]
    columns = run_columns(records)
    assert columns.worst_over == ("genetic", "pwws")
    rows = build_rows(records, columns.attacks, worst_over=columns.worst_over)
    assert [row.worst for row in rows if row.defense == "rift"] == [Gap("error", 0, 1)]


def test_a_long_heading_counts_the_attacks_and_the_note_names_them(make_record: MakeRecord) -> None:
    label = "genetic(iterations=3, population=6)"
    records = [
        make_record("HH", attack_label=label),
        make_record("HH", attack="pwws"),
        make_record("HH", attack_label=label, defense="rift"),
    ]
    columns = run_columns(records)
    assert columns.worst_heading == "worst case (1 of 2 attacks)"
    assert f"Worst case: over {label}, the attack that every row has." in columns.notes[0]


def test_a_board_covers_what_its_definition_names(make_record: MakeRecord) -> None:
    columns = board_columns(["pwws", "genetic"])
    assert columns.worst_over == columns.headings == columns.attacks == ("pwws", "genetic")
    rows = build_rows(mixed(make_record)[:4], columns.attacks, worst_over=columns.worst_over)
    assert [row.worst for row in rows if row.defense == "rift"] == [Gap("absent", 0, 1)]


def test_attacks_that_the_language_model_does_not_bind_are_marked(make_record: MakeRecord) -> None:
    records = mixed(make_record)
    columns = run_columns(records)
    assert columns.headings == ("genetic", "greedy", "pwws*")
    assert columns.notes[-1] == (
        "pwws*: not bound by the language model, so it may use substitutes that it forbids to "
        "genetic and greedy."
    )
    assert results_table(records).count("not bound by the language model") == 1
    markdown = render_run(RecordsOnDisk({f"{i}.json": r for i, r in enumerate(records)}, {}))
    assert " pwws* |" in markdown
    assert f"\n\n{columns.notes[-1]}\n" in markdown


def test_there_is_no_mark_where_all_attacks_are_alike(make_record: MakeRecord) -> None:
    free = [
        make_record("HH", attack=attack, surface={"constrained": False, "language_model": "none"})
        for attack in ("genetic", "pwws")
    ]
    bound = [make_record("HH", attack=a, surface={"constrained": True}) for a in ("genetic", "x")]
    assert unbound_attacks(free) == unbound_attacks(bound) == unbound_attacks([]) == []
    assert run_columns(free).headings == ("genetic", "pwws")


def test_names_in_a_sentence() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]
