"""Certificates on boards: which of them belong, and what the board shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from certified import make_certificate
from click.testing import CliRunner
from records import make_record, sha

from robench.cli import main
from robench.records.board_certificates import FOLDER, admit_certificates
from robench.records.certificate import Certificate
from robench.records.certificate_files import write_certificate
from robench.records.leaderboard import check, render_board, write_board
from robench.records.record import Record
from robench.records.record_files import write_record

TOML = (
    'title = "Toy"\ntask = "toy"\nencoder = "tiny"\nprotocol = "rift2021"\n'
    'attacks = ["pwws", "genetic"]\nrecords = "records"\n'
)


def attacked(outcomes: str, **fields: Any) -> Record:
    return make_record(outcomes, **{"surface": {"rules": sha("rules")}} | fields)


def reason_of(certificate: Certificate, *records: Record) -> str | None:
    """Return why the certificate is refused on a board of these records."""
    return admit_certificates({"a.json": certificate}, records).reasons.get("a.json")


# -- which certificates belong ---------------------------------------------------------------------


def test_a_certificate_about_a_victim_and_a_space_of_the_records_belongs() -> None:
    certificate = make_certificate("CUF")
    found = admit_certificates({"a.json": certificate}, [attacked("HHF"), attacked("HHH", seed=1)])
    assert found.certificates == {"a.json": certificate}
    assert not found.reasons


def test_a_certificate_of_the_smoothed_victim_belongs_to_the_victim_that_it_was_made_from() -> None:
    smoothed = make_certificate("CAU", method="smoothing", smoothed=True, constrained=False)
    assert reason_of(smoothed, attacked("HHF")) is None


def test_a_certificate_without_unknown_words_belongs_to_the_same_victim() -> None:
    protocol = make_record("H", protocol="rift2021(unknown=forbidden)").protocol
    assert reason_of(make_certificate("CUF", protocol=protocol), attacked("HHF")) is None


@pytest.mark.parametrize(
    ("fields", "record", "reason"),
    [
        (
            {"limit": 3, "examples": 10},
            attacked("HHF"),
            "only 3 of 10 examples were certified (--limit)",
        ),
        (
            {"defense": "rift"},
            attacked("HHF"),
            f"no record of the board is about its victim 'rift', seed 0 ({sha('rift 0')[:12]}…)",
        ),
        (
            {"seed": 1},
            attacked("HHF"),
            "no record of the board is about its victim 'standard', seed 1 "
            f"({sha('standard 1')[:12]}…)",
        ),
        (
            {},
            attacked("HHF", victim={"smoothing": {"kind": "masking", "draws": 16}}),
            "no record of the board is about its victim 'standard', seed 0 "
            f"({sha('standard 0')[:12]}…)",
        ),
        (
            {},
            attacked("HHF", task={"digest": sha("other")}),
            "its test examples or its protocol are not those of the board's records",
        ),
        (
            {},
            attacked("HHF", protocol="subword"),
            "its test examples or its protocol are not those of the board's records",
        ),
        (
            {"rules": sha("other rules")},
            attacked("HHF"),
            "its space is not that of the board's records: the surface or the language model",
        ),
        (
            {},
            attacked("HHF", surface={"rules": sha("rules"), "language_model": "none"}),
            "its space is not that of the board's records: the surface or the language model",
        ),
    ],
)
def test_another_certificate_is_refused_with_its_reason(
    fields: dict[str, Any], record: Record, reason: str
) -> None:
    assert reason_of(make_certificate("CUF", **fields), record) == reason


def test_two_certificates_of_one_line_are_both_refused() -> None:
    one, two = make_certificate("CUF"), make_certificate("CCF", key=sha("other options"))
    other = make_certificate("CUF", constrained=False)
    found = admit_certificates({"a": one, "b": two, "c": other}, [attacked("HHF")])
    assert found.certificates == {"c": other}
    assert found.reasons == {
        "a": "also claimed by b; keep one",
        "b": "also claimed by a; keep one",
    }


# -- the board -------------------------------------------------------------------------------------


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board of two defenses under two attacks; returns its TOML file."""
    records = {
        "gen.json": attacked("WHHF"),
        "pwws.json": attacked("WHFF", attack="pwws"),
        "rift-gen.json": attacked("WHHH", defense="rift"),
        "rift-pwws.json": attacked("WHHF", defense="rift", attack="pwws"),
    }
    for name, record in records.items():
        write_record(tmp_path / "records" / name, record)
    path = tmp_path / "toy.toml"
    path.write_text(TOML)
    return path


def add(board: Path, name: str, certificate: Certificate) -> None:
    write_certificate(board.parent / "records" / FOLDER / name, certificate)


def test_a_board_without_certificates_says_nothing_of_them(board: Path) -> None:
    assert "ertif" not in render_board(board)


def test_a_board_shows_each_certificate_beside_its_attacks(board: Path) -> None:
    add(board, "a.json", make_certificate("WCUF"))
    add(board, "b.json", make_certificate("WCUU", defense="rift", constrained=False))
    text = render_board(board)
    lines = [line for line in text.splitlines() if "| bounds" in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    # The free space covers both attacks, and pwws is the stronger one.
    assert [(row[0], row[3], *row[6:]) for row in cells] == [
        ("rift", "all substitutes", "25.0 to 50.0", "50.0", "75.0"),
        ("standard", "language model", "25.0 to 50.0", "50.0", "75.0"),
    ]
    assert "checked against genetic, pwws; no contradiction." in text
    assert "ALARM" not in text
    # It is part of the board, so it stands before the meanings of the columns.
    assert text.index("## Certified beside attacked") < text.index("## What the columns mean")


def test_a_contradiction_is_an_alarm_above_the_table(board: Path) -> None:
    add(board, "a.json", make_certificate("WCCC", constrained=False))
    text = render_board(board)
    assert text.count("- ALARM. standard, example number ") == 3
    assert "(bounds against pwws, " in text
    assert text.index("ALARM") < text.index("| bounds")


def test_a_refused_certificate_is_listed_with_its_reason(board: Path) -> None:
    add(board, "a.json", make_certificate("WCUF", seed=9))
    text = render_board(board)
    assert "### Certificates that do not count" in text
    assert "- `a.json`: no record of the board is about its victim 'standard', seed 9" in text
    assert "| bounds" not in text


def test_check_finds_a_certificate_that_was_changed_added_or_removed(board: Path) -> None:
    add(board, "a.json", make_certificate("WCUF"))
    write_board(board)
    assert check(board) == []
    add(board, "a.json", make_certificate("WUUF"))
    assert any("| bounds" in line for line in check(board))
    (board.parent / "records" / FOLDER / "a.json").unlink()
    assert any("Certified beside attacked" in line for line in check(board))


def test_the_command_makes_no_board_without_all_of_its_certificates(board: Path) -> None:
    add(board, "a.json", make_certificate("WCUF"))
    (board.parent / "records" / FOLDER / "torn.json").write_text("{")
    done = CliRunner().invoke(main, ["leaderboard", "--check", "--board", str(board)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: The board {board} cannot be made without all of its certificates. Cannot read "
        f"the certificate {board.parent}/records/certificates/torn.json (it is not JSON: "
        "Expecting property name enclosed in double quotes in line 1, column 2). Delete it, and "
        "run 'robench certify' again.\n"
    )
