"""Cells with and without substitutes that the victim does not know, side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import RobenchError
from robench.records.board import Board, admit_variants, twin_board
from robench.records.exact_robustness import overestimates
from robench.records.leaderboard import render_board, render_run
from robench.records.record import Record
from robench.records.record_files import find_records, write_record
from robench.records.unknown_pairs import unknown_pairs

MakeRecord = Callable[..., Record]
FORBIDDEN = "rift2021(unknown=forbidden)"
BOARD = {
    "title": "Toy",
    "task": "toy",
    "encoder": "tiny",
    "protocol": "rift2021",
    "attacks": ("genetic",),
    "records": "records",
}


def test_the_part_of_the_fooling_that_needs_unknown_words(make_record: MakeRecord) -> None:
    (pair,) = unknown_pairs([make_record("WFFFFHP"), make_record("WFHPFFP", protocol=FORBIDDEN)])
    assert (pair.row, pair.attack, pair.seeds) == ("standard", "genetic", (0,))
    assert (pair.fooled, pair.only_with_unknown, pair.share) == (4, 2, 0.5)
    assert pair.allowed.mean == pytest.approx(2 / 7)
    assert pair.forbidden.mean == pytest.approx(3 / 7)


def test_seeds_are_put_together(make_record: MakeRecord) -> None:
    records = [
        make_record("FFH", seed=seed, protocol=protocol)
        for seed in (1, 0)
        for protocol in ("rift2021", FORBIDDEN)
    ]
    (pair,) = unknown_pairs([*records, make_record("FFF", seed=2)])
    assert (pair.seeds, pair.fooled, pair.share) == ((0, 1), 4, 0.0)


def test_without_fooling_there_is_no_share(make_record: MakeRecord) -> None:
    (pair,) = unknown_pairs([make_record("HHW"), make_record("HHW", protocol=FORBIDDEN)])
    assert pair.share is None


@pytest.mark.parametrize(
    "other",
    [
        {"victim": {"sha256": "a" * 64}},
        {"surface": {"key": "b" * 64}},
        {"attack": "pwws"},
        {"search": {"budget": 5}},
        {"protocol": "rift2021(unknown=forbidden, temperature=dev)"},
        {"protocol": "rift2021"},
    ],
)
def test_records_that_differ_in_something_else_are_no_pair(
    make_record: MakeRecord, other: dict[str, Any]
) -> None:
    second = make_record("FHH", **{"protocol": FORBIDDEN} | other)
    assert unknown_pairs([make_record("FFH"), second]) == []


def test_records_with_errors_are_no_pair(make_record: MakeRecord) -> None:
    assert unknown_pairs([make_record("FFE"), make_record("FHH", protocol=FORBIDDEN)]) == []


def test_a_proof_without_unknown_words_says_nothing_of_those_with(make_record: MakeRecord) -> None:
    def of(outcomes: str, attack: str, protocol: str = "rift2021") -> Record:
        return make_record(
            outcomes, attack=attack, protocol=protocol, surface={"constrained": False}
        )

    assert overestimates([of("HHH", "pwws"), of("PPP", "exhaustive")]) != []
    assert overestimates([of("HHH", "pwws"), of("PPP", "exhaustive", FORBIDDEN)]) == []


def test_a_board_shows_both(make_record: MakeRecord, tmp_path: Path) -> None:
    for record in (
        make_record("WFFFFHP"),
        make_record("WFHPFFP", protocol=FORBIDDEN),
        make_record("WFHPFFP", defense="rift", protocol=FORBIDDEN),
    ):
        write_record(tmp_path / "records" / f"{record.cell}-{record.protocol.unknown}.json", record)
    lines = [f'{name} = "{value}"' for name, value in BOARD.items() if name != "attacks"]
    path = tmp_path / "toy.toml"
    path.write_text("\n".join([*lines, 'attacks = ["genetic"]']))
    text = render_board(path)
    assert "## With and without unknown words" in text
    (line,) = [one for one in text.splitlines() if "2 (50.0 %)" in one]
    assert [cell.strip() for cell in line.split("|")[1:4]] == ["standard", "genetic", "1"]
    assert "28.6 [" in line
    assert "42.9 [" in line
    # A row that has no record with all substitutes is no row of the board.
    assert "rift " not in text.split("## Conditions")[0].replace("rift2021", "")
    assert "Records that do not count" not in text


def test_a_board_without_such_records_says_nothing_of_them(make_record: MakeRecord) -> None:
    admitted, twins = admit_variants(Board(**BOARD), {"a.json": make_record("WFH")})
    assert (list(admitted.records), list(twins.records)) == (["a.json"], [])


def test_a_board_may_have_the_choice_itself(make_record: MakeRecord) -> None:
    board = Board(**BOARD | {"protocol": FORBIDDEN})
    assert twin_board(board).protocol == "rift2021"
    records = {"a.json": make_record("WFH"), "b.json": make_record("WHH", protocol=FORBIDDEN)}
    admitted, twins = admit_variants(board, records)
    assert (list(admitted.records), list(twins.records)) == (["b.json"], ["a.json"])


def test_records_of_both_kinds_must_agree(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("WFH"),
        "b.json": make_record("WHH", protocol=FORBIDDEN, search={"code_sha256": "c" * 64}),
    }
    with pytest.raises(RobenchError, match=r"a\.json and b\.json differ in robench's code"):
        admit_variants(Board(**BOARD), records)


def test_reasons_of_both_kinds_are_kept(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("WFH", attack="pwws"),
        "b.json": make_record("WFH", attack="pwws", protocol=FORBIDDEN),
        "c.json": make_record("WFH", protocol="rift2021(temperature=dev)"),
    }
    admitted, _ = admit_variants(Board(**BOARD), records)
    assert list(admitted.reasons) == ["a.json", "b.json", "c.json"]
    assert "its protocol is" in admitted.reasons["c.json"]
    assert "no column" in admitted.reasons["b.json"].replace("not a column", "no column")


def test_a_run_shows_a_pair_once(make_record: MakeRecord, tmp_path: Path) -> None:
    for record in (make_record("WFFH"), make_record("WHFH", protocol=FORBIDDEN)):
        write_record(tmp_path / f"{record.protocol.unknown}.json", record)
    text = render_run(find_records(tmp_path))
    assert text.count("With and without unknown words") == 1
    assert "1 (50.0 %)" in text
