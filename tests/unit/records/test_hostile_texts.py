"""Boards and tables of records whose every text tries to break them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from certified import make_certificate
from hostile import HOSTILE, TEXTS, controls, tags
from markdown_it import MarkdownIt
from records import make_record, sha

from robench.records import certified_table, comparison_text, transfer_text
from robench.records.compared import ComparedRows, Differing, Substitution
from robench.records.compared_curves import ComparedCurve
from robench.records.frames import results
from robench.records.leaderboard import flags_of, render_board, render_run, results_table
from robench.records.pairing import Measure, SeedPair
from robench.records.record import Record
from robench.records.record_files import RecordsOnDisk, write_record
from robench.records.sandwich import sandwiches
from robench.records.shown_records import NAMES, shown_part, shown_records
from robench.records.statistics_seeds import Pair, resample
from robench.records.transfer import (
    AttackedVictim,
    TransferCell,
    TransferGroup,
    TransferRow,
    TransferTable,
    correct,
)
from robench.records.transfer_flags import Transferred

EVERY = [pytest.param(text, id=name) for name, text in TEXTS.items() if name != "surrogate"] + [
    pytest.param(HOSTILE.replace("\ud800", ""), id="all")
]
QUICK = ("html", "heading after a line", "bar behind a backslash", "reference", "lines", "all")
"""Pages and tables of records are long. These texts are tried always, and all of them by `many`."""
PAGES = [
    pytest.param(*each.values, id=each.id, marks=() if each.id in QUICK else pytest.mark.many)
    for each in EVERY
]
TEN_MEGABYTES = "# long | " * 1_100_000


def _record(text: str, number: int, **parts: Any) -> Record:
    """Return a record with ``text`` in every field that holds text."""
    name = f"{text} {number}"
    given: dict[str, Any] = (
        {"given": name} if parts.pop("given", False) else {"defense": name, "label": name}
    )
    record = make_record(
        "WFFHHHHHHP",
        attack=f"attack {text}",
        attack_label=f"attack {text}",
        access="probabilities",
        task={"name": f"task {text}", "other_test": text, "test_name": f"{text}:x", "synthetic": 1},
        victim={"findings": (text, f"found {text}")}
        | ({"smoothing": {"kind": text, "draws": 3, "answer": "mean"}} if number else {}),
        surface={"language_model": text, "substitutions": text, "splitter": text}
        | {"substitutions_sha256": sha("set")},
        trained_on={"substitutions": text, "substitutions_sha256": sha("set")},
        version=text or "1",
        **given,
        **parts,
    )
    software = record.software.model_copy(update={"device": text, "versions": {text: text}})
    return record.model_copy(update={"software": software})


def _records(text: str) -> dict[str, Record]:
    records = [
        _record(text, 0, encoder={"name": f"encoder {text}"}),
        _record(text, 0, encoder={"name": f"encoder {text}"}, seed=1),
        _record(text, 1, encoder={"name": f"encoder {text}"}),
        _record(text, 2, given=True),
    ]
    return {f"{number}{text[:50]}.json": record for number, record in enumerate(records)}


def _blocks(markdown: str) -> list[str]:
    """Return what a page is made of: its blocks, cells and markup, without the words."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    types = []
    for block in parser.parse(markdown):
        inner = [each.type for each in block.children or ()]
        marks = [each for each in inner if each not in ("text", "text_special")]
        types += [f"{block.type} {block.tag} {block.level}", *marks]
    return types


def _page(text: str) -> str:
    found = RecordsOnDisk(_records(text), {f"x{text[:50]}.json": f"cannot be read: {text}"})
    return render_run(found, transferred=Transferred(damaged=f"It is damaged: {text}"))


@pytest.mark.parametrize("text", PAGES)
def test_the_page_of_a_run_has_the_blocks_of_an_honest_one(text: str) -> None:
    page = _page(text)
    assert _blocks(page) == _blocks(_page("honest"))
    assert not controls(page)
    assert len(page) < 300_000


BOARD = """
title = {title}
about = {title}
task = "toy"
encoder = "tiny"
protocol = "rift2021"
attacks = {attacks}
defenses = {defenses}
records = "records"
"""


def _toml(value: object) -> str:
    """Return a value for TOML, where DEL and what lies above the BMP must not be two units."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(f"\\U{ord(each):08x}" if each > "~" else each for each in text)


def _board(folder: Path, text: str) -> str:
    """Return the page of a board whose records have hostile labels, findings and devices."""
    label = f"label {text}"
    for number, attack in enumerate([f"a {text}", f"b {text}"]):
        record = make_record("WFFHHHHHHP", defense=label, attack=attack)
        record = record.model_copy(
            update={
                "victim": record.victim.model_copy(update={"findings": (text,)}),
                "software": record.software.model_copy(update={"device": text}),
            }
        )
        write_record(folder / "records" / f"{number}.json", record)
    write_record(folder / "records" / "2.json", make_record("WFFHHHHHHP", attack="other"))
    quoted = {
        "title": _toml(text),
        "attacks": _toml([f"a {text}", f"b {text}"]),
        "defenses": _toml([f"absent {text}"]),
    }
    path = folder / "board.toml"
    path.write_text(BOARD.format(**quoted))
    return render_board(path)


@pytest.mark.parametrize("text", [each for each in PAGES if each.id not in ("unseen", "long")])
def test_a_board_has_the_blocks_of_an_honest_one(tmp_path: Path, text: str) -> None:
    page = _board(tmp_path / "hostile", text)
    honest = _board(tmp_path / "honest", "honest")
    # The text above the table may hold paragraphs and code.
    start = "| defense"
    assert _blocks(page[page.index(start) :]) == _blocks(honest[honest.index(start) :])
    above = {each.split()[0] for each in _blocks(page[: page.index(start)])}
    assert above <= {
        *("html_block", "heading_open", "heading_close", "inline"),
        *("paragraph_open", "paragraph_close", "softbreak", "code_inline"),
        *("blockquote_open", "blockquote_close"),
    }
    # The only quotation says that the task is synthetic.
    assert sum(each.startswith("blockquote_open") for each in _blocks(page)) == 1
    assert [each for each in _blocks(page) if each.startswith("html_block")] == ["html_block  0"]
    assert not controls(page)


@pytest.mark.parametrize("text", PAGES)
@pytest.mark.parametrize("width", [None, 100])
def test_the_table_on_a_terminal_has_the_rows_of_an_honest_one(
    text: str, width: int | None
) -> None:
    table = results_table(list(_records(text).values()), width)
    assert not controls(table)
    assert len(table) < 60_000
    rows = [line for line in table.splitlines() if line.startswith("│")]
    if width is None:
        honest = results_table(list(_records("honest").values()))
        assert len(rows) == honest.count("\n│")
        assert len(table.splitlines()) == len(honest.splitlines())
    else:
        assert {line.count("│") for line in rows} <= set(range(2, 9))


def test_a_label_of_ten_megabytes_makes_a_page_of_some_kilobytes() -> None:
    page = _page(TEN_MEGABYTES)
    assert len(page) < 300_000
    assert "9,900,0" in page  # it says how long the label is
    assert _blocks(page) == _blocks(_page("honest"))


def test_two_long_labels_stay_two_rows() -> None:
    records = {
        f"{end}.json": make_record("WFHH", label="x" * 100_000 + end, attack="pwws")
        for end in ("a", "b")
    }
    shown = shown_records(records)
    assert len({each.row for each in shown.values()}) == 2
    assert len({len(each.row) for each in shown.values()}) == 1
    # Once more changes nothing.
    assert all(shown_part(each) is each for each in shown.values())


def test_short_records_are_left_as_they_are() -> None:
    record = make_record("WFHH", label="rift(" + ", ".join(f"o{n}=1" for n in range(30)) + ")")
    assert shown_part(record) is record
    assert {"label", "name"} <= NAMES


def test_a_list_of_many_findings_says_how_many_more() -> None:
    record = make_record("WFHH", victim={"findings": tuple(f"finding {n}" for n in range(5_000))})
    findings = shown_part(record).victim.findings
    assert len(findings) == 101
    assert findings[-1] == "… and 4,900 more"


def test_the_outcomes_are_never_cut() -> None:
    record = make_record("H" * 5_000, label="x" * 5_000)
    assert shown_part(record).outcomes == record.outcomes


@pytest.mark.parametrize("text", PAGES)
def test_flags_name_bounded_rows(text: str) -> None:
    assert all(len(flag.sentence) < 2_000 for flag in flags_of(_records(text)))


def _comparison(text: str) -> ComparedRows:
    pair = SeedPair((0, 0), 10, 7, 5, 3, 1, 0.6)
    over = Pair(*resample([["HHHHHHHFFF"], ["HHHHFFFHFF"]]))
    measures = (
        Measure("clean", (), (pair,), over),
        Measure("attack", (f"under {text}",), (pair,), over),
    )
    return ComparedRows(
        first=f"first {text}",
        second=f"second {text}",
        task=f"task {text}",
        measures=measures,
        differing=(
            Differing(f"id {text}", 0, 1, 0, f"text {text}"),
            Differing(None, 1, 0, 1, f"text {text}"),
        ),
        fooled_second=(Substitution(f"a{text}", f"b{text}", 2),),
        fooled_first=(Substitution(f"a{text}", f"b{text}", 2),),
        warnings=(f"Left out: {text}",),
        notes=(f"{text} is the row {text}.",),
        curves=(ComparedCurve(f"under {text}", "queries", (10,), (0.5,), (0.25,)),),
    )


SHORT = [each for each in PAGES if each.id != "long"]


@pytest.mark.parametrize("text", SHORT)
def test_a_comparison_in_markdown_has_the_blocks_of_an_honest_one(text: str) -> None:
    page = comparison_text.markdown(_comparison(text))
    assert _blocks(page) == _blocks(comparison_text.markdown(_comparison("honest")))
    assert not controls(page)


@pytest.mark.parametrize("text", SHORT)
def test_a_comparison_on_a_terminal_has_the_lines_of_an_honest_one(text: str) -> None:
    shown = comparison_text.terminal(_comparison(text), None)
    honest = comparison_text.terminal(_comparison("honest"), None)
    assert len(shown.splitlines()) == len(honest.splitlines())
    assert not controls(shown)


@pytest.mark.parametrize("text", SHORT)
def test_a_comparison_in_html_has_the_tags_of_an_honest_one(text: str) -> None:
    page = comparison_text.html(_comparison(text))
    assert tags(page) == tags(comparison_text.html(_comparison("honest")))
    assert not controls(page)


def _certified(text: str, width: int | None) -> tuple[str, str]:
    """Return certificates beside attacks, as a page and for a terminal."""
    surface = {"rules": sha("rules")}
    records = [make_record("HHF", attack_label=f"a {text}", surface=surface)]
    certificates = [
        make_certificate("CUF", row=f"row {text}", row_name=text),
        # It contradicts the record, so there is an alarm.
        make_certificate("CCC", row=f"row {text}", constrained=False),
    ]
    made = sandwiches(certificates, records)
    page = certified_table.markdown(made, [f"damaged: {text}"], {f"x{text}.json": text})
    return "\n".join(page), certified_table.terminal(made, width)


@pytest.mark.parametrize("text", PAGES)
def test_certificates_have_the_blocks_of_honest_ones(text: str) -> None:
    page, screen = _certified(text, None)
    honest, expected = _certified("honest", None)
    assert "ALARM" in honest
    assert _blocks(page) == _blocks(honest)
    assert len(screen.splitlines()) == len(expected.splitlines())
    assert not controls(page + screen)
    assert len(page) < 60_000


def _transfer(text: str) -> str:
    records = [
        shown_part(make_record("HFFFFFFFFF", label=f"{n} {text}", attack_label=f"a {text}"))
        for n in "ab"
    ]
    victims = tuple(AttackedVictim(record, (), record.row) for record in records)
    group = TransferGroup(f"task {text}"[:200], records[0].attack.label, "p", victims)
    rows = tuple(
        TransferRow(victim, tuple(TransferCell(v.name, 9, 1) for v in victims), "F" * 10)
        for victim in victims
    )
    (table,) = correct([TransferTable(group, rows)])
    return transfer_text.terminal(table, None)


@pytest.mark.parametrize("text", PAGES)
def test_a_transfer_table_has_the_lines_of_an_honest_one(text: str) -> None:
    shown, honest = _transfer(text), _transfer("honest")
    assert len(shown.splitlines()) == len(honest.splitlines())
    assert not controls(shown)
    assert len(shown) < 20_000


def test_a_folder_of_hostile_records_is_a_frame_in_a_notebook(tmp_path: Path) -> None:
    for name, record in enumerate(_records(HOSTILE.replace("\ud800", "")).values()):
        write_record(tmp_path / "records" / f"{name}.json", record)
    found = results(tmp_path)
    page = found._repr_html_()
    assert not controls(page + str(found) + repr(found))
    names = {each.split()[0].strip("/") for each in tags(page)}
    assert names <= {"table", "thead", "tbody", "tr", "th", "td", "div", "style"}
