"""What a table says of rows that trained on what its columns attack with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from records import sha

from robench.records.columns import board_columns, run_columns
from robench.records.comparable import Admitted
from robench.records.record import Record
from robench.records.render import section
from robench.records.rows import build_rows
from robench.records.terminal import terminal_table
from robench.records.training_notes import TRAINED_MARK, trained_against, training_notes

MakeRecord = Callable[..., Record]
MINI = {"substitutions": "mini", "substitutions_sha256": sha("mini")}
ATTACK = {"name": "pwws", "options": {}}
AUGMENTED = {**MINI, "attacks": [ATTACK]}
FREE = {"name": "free", "options": {}, "outside": True}
OWN = {**MINI, "held_out": False}
HELD_OUT = {
    "substitutions": "w without mini",
    "substitutions_sha256": sha("w"),
    "held_out": True,
    "key": sha("other surface"),
    "own_key": sha("surface"),
}
OTHER = HELD_OUT | {"substitutions": "e", "substitutions_sha256": sha("e"), "held_out": False}


@pytest.mark.parametrize(
    ("attack", "surface", "trained", "expected"),
    [
        ("pwws", OWN, AUGMENTED, True),
        ("pwws@mini", OWN, AUGMENTED, True),
        ("genetic", OWN, AUGMENTED, False),
        ("pwws@held-out", HELD_OUT, AUGMENTED, False),
        ("pwws", OWN, MINI, False),
        ("pwws", OWN, None, False),
        (
            "free",
            {"outside": True},
            {"attacks": [FREE]},
            True,
        ),
    ],
)
def test_an_attack_is_trained_on_if_name_and_set_agree(
    make_record: MakeRecord,
    attack: str,
    surface: dict[str, Any],
    trained: dict[str, Any] | None,
    expected: bool,
) -> None:
    record = make_record("WFHH", attack=attack, surface=surface, trained_on=trained)
    assert trained_against(record) is expected


def records(make_record: MakeRecord) -> list[Record]:
    found = []
    for defense, trained in (("plain", {}), ("hull", MINI), ("augmented", AUGMENTED)):
        for attack, surface in (("pwws", OWN), ("pwws@held-out", HELD_OUT), ("pwws@e", OTHER)):
            surface = dict(surface)
            if attack == "pwws@e":
                surface["key"] = sha("third")
            found.append(
                make_record(
                    "WFHH", defense=defense, attack=attack, surface=surface, trained_on=trained
                )
            )
    return found


def test_the_cell_and_the_notes_say_what_was_trained_on(make_record: MakeRecord) -> None:
    found = records(make_record)
    rows = {row.defense: row for row in build_rows(found, ["pwws", "pwws@held-out"])}
    assert rows["augmented"].trained_against == {"pwws"}
    assert rows["hull"].trained_against == frozenset()
    marked, trained, spaces = training_notes(found)
    assert marked.startswith("† trained on this attack: augmented under pwws. The training used")
    assert trained == (
        "augmented and hull trained on the substitution set mini. Columns that search this set: "
        "pwws. Without its pairs of words: pwws@held-out. With one token per word, unknown words "
        "can still look like its pairs to a victim; '--unknown forbidden' removes the unknown "
        "substitutes. On another set, which may share pairs with it: pwws@e."
    )
    assert spaces.startswith("The attacks search different substitution sets.")


def test_a_board_and_a_terminal_show_the_mark(make_record: MakeRecord) -> None:
    found = records(make_record)
    admitted = Admitted({record.file_name: record for record in found})
    lines = section(board_columns(["pwws", "pwws@held-out"], found), admitted)
    (row,) = [line for line in lines if line.startswith("| augmented") and "[" in line][:1]
    assert row.count(TRAINED_MARK) == 1
    assert [line for line in lines if line.startswith("| hull") and TRAINED_MARK in line] == []
    assert any(line.startswith(f"{TRAINED_MARK} trained on this attack") for line in lines)
    assert "- Substitution sets: pwws mini, pwws@e e, pwws@held-out w without mini." in lines
    text = terminal_table(run_columns(found), admitted, 100)
    assert f"] {TRAINED_MARK}" in text
    assert "augmented and hull trained on the substitution set mini" in text.replace("\n", " ")


def test_nothing_is_said_where_nothing_is_known_or_trained_on(make_record: MakeRecord) -> None:
    assert training_notes([make_record("WFHH"), make_record("WFHH", given="mine")]) == []
    assert training_notes([make_record("WFHH", surface=OWN, trained_on={})]) == []
    assert training_notes([]) == []
