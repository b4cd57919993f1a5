"""Transfer tables: who is asked about which texts, and what the numbers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trial_runs import EXAMPLES, TRIALS, write_run

from robench._base.seals import with_seal
from robench.commands.results_data import evaluation_data
from robench.records.frames import results
from robench.records.leaderboard import flags_of, render_run, results_table
from robench.records.meanings import FLAGS
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.records.statistics import wilson
from robench.records.test_set import TestSet
from robench.records.transfer import (
    Answers,
    TransferCell,
    TransferGroup,
    TransferTable,
    correct,
    group_cells,
    to_dict,
    transfer_row,
)
from robench.records.transfer_flags import NOT_TRANSFERRED, read_transferred, table_flags
from robench.records.transfer_text import terminal
from robench.records.trial_choice import CellChoice, load_trials
from robench.search.attack import Change, Trial, Verdict
from robench.tasks.example import Example
from robench.tasks.frozen import digest

LABELS = ("negative", "positive")
FIRST, SECOND = TRIALS[:2]
"""Both fooled: 'a good film' -> 'a fine film', and 'not ... dull' -> 'hardly ... slow'."""


def held(trial: Trial) -> Trial:
    """The same example, where the attack found nothing."""
    return Trial(id=trial.id, verdict=Verdict.HELD, label=trial.label, prediction=trial.label)


def trials(*first: Trial) -> list[Trial]:
    """These trials, and for the other examples wrong ones."""
    others = EXAMPLES[len(first) :]
    return [
        *first,
        *(
            Trial(id=each.id, verdict=Verdict.WRONG, label=each.label, prediction=1 - each.label)
            for each in others
        ),
    ]


def groups_of(run: Path) -> list[TransferGroup]:
    return group_cells(load_trials(run, CellChoice()))


def by_words(always: str = "") -> tuple[Answers, list[str]]:
    """Answer 'positive' for texts with 'fine' and 'negative' otherwise, or always the same."""
    asked: list[str] = []

    def answers(texts: Sequence[Mapping[str, str]]) -> list[str]:
        asked.extend(text["text"] for text in texts)
        return [always or LABELS["fine" in text["text"]] for text in texts]

    return answers, asked


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """``rift`` is fooled on the first example, ``standard`` on both."""
    write_run(tmp_path, trials(FIRST, SECOND))
    write_run(tmp_path, trials(FIRST, held(SECOND)), defense="rift")
    return tmp_path


def test_a_victim_is_asked_about_the_texts_as_they_fooled_the_others(run: Path) -> None:
    (group,) = groups_of(run)
    rift, standard = group.victims
    assert (rift.name, standard.name) == ("rift", "standard")
    answers, asked = by_words()
    row = transfer_row(group, rift, answers)
    assert asked == [
        'He said:  "a fine film", didn\'t he?',
        'He said:  "a fine film", didn\'t he?',
        "I can hardly like <b>this</b> slow film.",
    ]
    assert set(asked) == {*(text["text"] for text in standard.texts.values())}
    assert row.cells == (TransferCell("rift", 1, 1), TransferCell("standard", 2, 2))
    assert row.transfer == "HHWWWW"


def test_the_union_counts_the_texts_of_others_only(run: Path) -> None:
    """A victim that says 'positive' always is fooled where the true label is 'negative'."""
    (group,) = groups_of(run)
    answers, _ = by_words(always="positive")
    rift, standard = (transfer_row(group, victim, answers) for victim in group.victims)
    assert rift.transfer == "HFWWWW"  # by the second text of standard
    assert standard.transfer == "HHWWWW"  # rift's only text does not fool it
    assert (rift.missed, standard.missed) == (1, 0)
    assert rift.own == pytest.approx(1 / 6)
    assert rift.transferred == pytest.approx(1 / 6)
    assert rift.clean == pytest.approx(2 / 6)
    # Its own text says 'positive' for a positive example, so it is right there: the trials differ.
    assert rift.own_right == 1


def test_an_accuracy_has_its_wilson_interval_and_none_without_texts() -> None:
    cell = TransferCell("rift", 40, 10)
    assert (cell.accuracy, cell.interval) == (0.25, wilson(0.25, 40))
    empty = TransferCell("rift", 0, 0)
    assert (empty.accuracy, empty.interval) == (None, None)


def test_victims_meet_only_under_the_same_attack_surface_and_budget(tmp_path: Path) -> None:
    write_run(tmp_path, trials(FIRST, SECOND))
    write_run(tmp_path, trials(FIRST, SECOND), defense="rift", attack="pwws")
    assert groups_of(tmp_path) == []
    write_run(tmp_path, trials(FIRST, SECOND), defense="ascc", surface={"language_model": "other"})
    write_run(tmp_path, trials(FIRST, SECOND), defense="smart", search={"budget": 900})
    assert groups_of(tmp_path) == []
    write_run(tmp_path, trials(FIRST, SECOND), defense="mixout")
    (group,) = groups_of(tmp_path)
    assert [victim.name for victim in group.victims] == ["mixout", "standard"]


def test_an_attack_that_does_not_search_has_no_texts(tmp_path: Path) -> None:
    for defense in ("standard", "rift"):
        write_run(tmp_path, trials(), defense=defense, attack="none", searches=False)
    assert groups_of(tmp_path) == []


def test_seeds_are_victims_of_their_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, trials(FIRST, SECOND), seed=seed)
    write_run(tmp_path, trials(FIRST, SECOND), defense="rift")
    (group,) = groups_of(tmp_path)
    assert [victim.name for victim in group.victims] == [
        "rift",
        "standard, seed 0",
        "standard, seed 1",
    ]


def test_a_record_with_an_error_has_no_number(tmp_path: Path) -> None:
    write_run(tmp_path)  # TRIALS ends in an error
    write_run(tmp_path, defense="rift")
    (group,) = groups_of(tmp_path)
    answers, _ = by_words(always="negative")
    row = transfer_row(group, group.victims[0], answers)
    assert row.transfer == "FHWHHE"
    assert (row.clean, row.own, row.transferred, row.missed, row.flag) == (None,) * 5


def masked(tmp_path: Path, left: int, n: int = 40) -> TransferTable:
    """Two victims on ``n`` positive examples.

    Of ``standard`` all texts were found. Of ``rift`` none, and it is wrong on ``left`` of them.
    """
    examples = [Example(f"toy/{k:03}", {"text": f"a good film {k:03}"}, 1) for k in range(n)]
    test_set = TestSet("toy", digest(examples), LABELS, "text", examples)
    swap = (Change(position=1, original="good", substitute="fine"),)
    fooled = [
        Trial(
            id=each.id,
            verdict=Verdict.FOOLED,
            label=1,
            prediction=1,
            adversarial_prediction=0,
            changes=swap,
        )
        for each in examples
    ]
    write_run(tmp_path, fooled, test_set)
    write_run(tmp_path, [held(trial) for trial in fooled], test_set, defense="rift")
    (group,) = groups_of(tmp_path)

    def answers(texts: Sequence[Mapping[str, str]]) -> list[str]:
        return [LABELS[int(text["text"][-3:]) >= left] for text in texts]

    rift, standard = group.victims
    rows = (
        transfer_row(group, rift, answers),
        transfer_row(group, standard, lambda texts: ["negative"] * len(texts)),
    )
    (table,) = correct([TransferTable(group, rows)])
    return table


def test_a_victim_that_is_weaker_under_transferred_texts_gets_a_flag(tmp_path: Path) -> None:
    table = masked(tmp_path, left=30)
    assert table.rows[0].missed == 30
    assert table.flags == [
        "'rift' holds 25.0 % under texts that were made for 1 other victim, and 100.0 % under "
        "genetic itself (McNemar with Holm p < 0.001): its own attack may be masked, so do not "
        "take it for its robustness."
    ]
    text = terminal(table, None)
    assert "Warning: 'rift' holds 25.0 %" in text
    assert "texts of standard (40)" in text


@pytest.mark.parametrize(("left", "flags"), [(0, 0), (5, 0), (6, 1)])
def test_a_few_missed_examples_are_no_flag(tmp_path: Path, left: int, flags: int) -> None:
    """Five against none have p = .0625, six against none p = .031."""
    table = masked(tmp_path, left)
    assert table.rows[0].missed == left
    assert len(table.flags) == flags


def test_the_p_values_are_corrected_over_all_rows_of_a_run(tmp_path: Path) -> None:
    """Six against none have p = .031 in each of two tables. Holm doubles it, so none is a flag."""
    one, other = masked(tmp_path / "one", left=6), masked(tmp_path / "other", left=6)
    assert len(one.flags) == len(other.flags) == 1
    both = correct([one, other])
    assert [table.flags for table in both] == [[], []]
    assert [table.rows[0].corrected for table in both] == [4 / 2**6, 4 / 2**6]
    stored = to_dict(both, [])["tables"][0]["victims"][0]
    assert (stored["p_value"], stored["p_value_holm"]) == (2 / 2**6, 4 / 2**6)


def test_a_row_that_was_not_corrected_has_no_flag(tmp_path: Path) -> None:
    row = masked(tmp_path, left=30).rows[0]
    assert row.flag is not None
    assert replace(row, corrected=None).flag is None


def test_a_flag_says_how_many_sources_had_texts(tmp_path: Path) -> None:
    row = masked(tmp_path, left=30).rows[0]
    others = [TransferCell("smart", 3, 0), TransferCell("mixout", 0, 0)]
    flag = replace(row, cells=(*row.cells, *others)).flag
    assert flag is not None
    assert "under texts that were made for 2 other victims together, and" in flag


def test_the_victim_itself_is_wrong_on_all_its_texts(tmp_path: Path) -> None:
    table = masked(tmp_path, left=30)
    assert table.rows[1].own_right == 0
    assert table.rows[1].cells[1] == TransferCell("standard", 40, 0)
    assert "0.0 [0.0, 8.8]" in terminal(table, None)


def test_the_tables_are_plain_data(run: Path) -> None:
    (group,) = groups_of(run)
    answers, _ = by_words(always="positive")
    table = TransferTable(group, tuple(transfer_row(group, v, answers) for v in group.victims))
    data = json.loads(json.dumps(to_dict([table], ["left"]), allow_nan=False))
    assert data["left_out"] == ["left"]
    (found,) = data["tables"]
    assert (found["task"], found["attack"], found["protocol"]) == ("toy", "genetic", "rift2021")
    rift = found["victims"][0]
    assert (rift["victim"], rift["missed"], rift["flag"]) == ("rift", 1, None)
    assert rift["transfer"] == {f"toy/{k}": letter for k, letter in enumerate("HFWWWW", 1)}
    assert [(each["source"], each["texts"], each["right"]) for each in rift["sources"]] == [
        ("rift", 1, 1),
        ("standard", 2, 1),
    ]


def test_a_narrow_terminal_gets_a_narrow_table(run: Path) -> None:
    (group,) = groups_of(run)
    answers, _ = by_words()
    table = TransferTable(group, tuple(transfer_row(group, v, answers) for v in group.victims))
    assert max(map(len, terminal(table, 70).splitlines())) <= 70


# -- the flags of a run's table --------------------------------------------------------------------


@pytest.fixture
def flagged(tmp_path: Path) -> Path:
    """A run with the file of ``robench transfer``; ``rift`` has a flag."""
    path = RunFolder(tmp_path).transfer
    path.write_text(json.dumps(with_seal(to_dict([masked(tmp_path, left=30)], []))))
    return tmp_path


def test_a_stored_flag_is_shown_wherever_a_run_shows_flags(flagged: Path) -> None:
    found = find_records(RunFolder(flagged).records)
    transferred = read_transferred(RunFolder(flagged).transfer)
    (flag,) = flags_of(found.records, transferred)
    assert (flag.kind, flag.row, flag.seed) == ("transfer-stronger", "rift", 0)
    assert (flag.suspect, flag.stronger) == ("genetic", "transfer")
    assert (flag.only_suspect, flag.only_stronger) == (0, 30)
    assert flag.p_value is not None
    assert flag.p_value < 0.001
    assert flag.sentence.startswith("'rift' holds 25.0 % under texts that were made for 1 other")
    text = render_run(found, transferred=transferred)
    assert f"### Flags\n\n{FLAGS}\n\n- {flag.sentence}" in text
    records = list(found.records.values())
    assert f"Flag: {flag.sentence}" in results_table(records, transferred=transferred)
    assert evaluation_data(records, flagged)["flags"] == [flag]
    assert results(flagged).flags["kind"].tolist() == ["transfer-stronger"]
    assert "Flag: 'rift' holds 25.0 %" in str(results(flagged))


def test_a_run_that_nothing_was_transferred_in_has_no_such_flag(run: Path) -> None:
    found = find_records(RunFolder(run).records)
    assert read_transferred(RunFolder(run).transfer) == NOT_TRANSFERRED
    assert flags_of(found.records, NOT_TRANSFERRED) == []


@pytest.mark.parametrize("field", ["cell", "ids_digest"])
def test_a_flag_of_another_cell_or_of_other_examples_is_not_shown(
    flagged: Path, field: str
) -> None:
    transferred = read_transferred(RunFolder(flagged).transfer)
    records = find_records(RunFolder(flagged).records).records.values()
    assert len(table_flags(records, transferred)) == 1
    others = [record.model_copy(update={field: "0" * 64}) for record in records]
    assert table_flags(others, transferred) == []


@pytest.mark.parametrize(
    "content",
    [{}, {"tables": [{"victims": [{"flag": "x"}]}]}, {"tables": [None]}],
)
def test_a_file_of_another_form_is_one_sentence_and_stops_no_table(
    flagged: Path, content: dict[str, Any]
) -> None:
    path = RunFolder(flagged).transfer
    path.write_text(json.dumps(with_seal(content)))
    transferred = read_transferred(path)
    sentence = "It is not what 'robench transfer' writes; run it again."
    assert (dict(transferred.flags), transferred.damaged) == ({}, sentence)
    text = render_run(find_records(RunFolder(flagged).records), transferred=transferred)
    assert f"The file `transfer.json` gives no flags. {sentence}" in text
    assert "### Every cell" in text


def test_a_changed_file_gives_no_flags(flagged: Path) -> None:
    path = RunFolder(flagged).transfer
    content = json.loads(path.read_text())
    for changed in ({**content, "left_out": ["x"]}, {"tables": content["tables"]}, [content], 3):
        path.write_text(json.dumps(changed))
        transferred = read_transferred(path)
        assert not transferred.flags
        assert str(transferred.damaged).startswith("It is not what 'robench transfer' writes (it")


@pytest.mark.parametrize("content", ["{", "[" * 100_000, '{"tables": NaN}', "1" * 100_000])
def test_a_damaged_file_stops_no_table(flagged: Path, content: str) -> None:
    RunFolder(flagged).transfer.write_text(content)
    transferred = read_transferred(RunFolder(flagged).transfer)
    assert (dict(transferred.flags), "\n" in str(transferred.damaged)) == ({}, False)
    assert str(transferred.damaged).startswith("It cannot be read (it")
    assert str(transferred.damaged).endswith("; run 'robench transfer' again.")


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", "0"), ("seed", True), ("missed", 2.5), ("p_value_holm", "0.1"), ("cell", 3)],
)
def test_a_value_of_another_type_gives_no_flag(flagged: Path, key: str, value: object) -> None:
    path = RunFolder(flagged).transfer
    content = json.loads(path.read_text())
    row = next(row for row in content["tables"][0]["victims"] if row["flag"] is not None)
    row[key] = value
    path.write_text(json.dumps(with_seal(content)))
    assert read_transferred(path).damaged is not None
