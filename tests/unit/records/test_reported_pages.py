"""The two pages of the reported numbers, and the boards beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from reported_cases import reported_file

from robench._base.errors import UsageError
from robench.records.beside import SETTING_NAMES
from robench.records.board import board_files
from robench.records.generated import check_pages, pages_of, write_pages
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.reported import Setup
from robench.records.reported_pages import BEGIN, END
from robench.records.settings_found import settings_found

MakeRecord = Callable[..., Record]

REPORTED = reported_file(
    "A [paper](x)",
    "The **stars** stay.",
    """\
    { printed = "Ours", defense = "rift", values = ["80.0", "60.2 ± 0.5"] },
    { printed = "x = 1", values = ["70.0", "50.0"] },""",
)
BOARD = """\
title = "A small board"
task = "toy"
encoder = "tiny"
protocol = "rift2021"
attacks = ["pwws", "genetic"]
records = "records"
"""


@pytest.fixture
def folder(tmp_path: Path, make_record: MakeRecord) -> Path:
    """A folder with reported numbers, a page with marks, and one board with three rows."""
    (tmp_path / "records").mkdir()
    (tmp_path / "reported.toml").write_text(REPORTED, encoding="utf-8")
    (tmp_path / "small.toml").write_text(BOARD, encoding="utf-8")
    (tmp_path / "page.md").write_text(f"# By hand\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    options = {"epochs": 4, "batch_size": 8, "learning_rate": 0.5, "train_examples": None}
    for defense, letters, more in (
        ("standard", "F" * 8 + "WH", {"epochs": 4}),
        ("rift", "H" * 9 + "W", {"epochs": 6, "train_examples": 1200}),
        ("smart", "H" * 10, {}),
    ):
        for attack in ("pwws", "genetic"):
            record = make_record(letters, defense=defense, attack=attack, options=options | more)
            write_record(tmp_path / "records" / record.file_name, record)
    return tmp_path


def page_of(folder: Path) -> str:
    return pages_of(folder / "reported.toml")[folder / "page.md"]


def cells_of(text: str) -> list[list[str]]:
    """Return the cells of every row of every table."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_files_of_boards_are_those_of_boards(folder: Path) -> None:
    assert board_files(folder) == [folder / "small.toml"]


def test_both_pages_are_written_and_checked(folder: Path) -> None:
    path = folder / "reported.toml"
    assert any(check_pages(path).values())
    assert write_pages(path) == [folder / "reported.md", folder / "page.md"]
    assert not any(check_pages(path).values())
    page = folder / "page.md"
    page.write_text(page.read_text().replace("By hand", "Other words by hand"))
    assert not any(check_pages(path).values())
    page.write_text(page.read_text().replace("20.5 ± 1.5", "20.6 ± 1.5"))
    assert [name.name for name, lines in check_pages(path).items() if lines] == ["page.md"]


def test_the_page_of_reported_numbers_shows_them_as_printed(folder: Path) -> None:
    text = pages_of(folder / "reported.toml")[folder / "reported.md"]
    assert text.index("Copied from papers, not measured by robench") < text.index("20.5")
    assert ["Base", "standard", "90.0", "20.5 ± 1.5"] in cells_of(text)
    assert ["x = 1", "—", "70.0", "50.0"] in cells_of(text)
    assert "n = 10" in text
    assert "the number of test examples is not said" in text
    assert "**No numbers.** There was no text of it." in text
    # Words of the file are words, and no markup.
    assert "](x)" not in text.replace("\\](x)", "")
    assert "\\*\\*stars\\*\\*" in text


def test_reported_and_measured_stand_in_tables_of_their_own(folder: Path) -> None:
    text = page_of(folder)
    assert text.startswith("# By hand\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "\nold\n" not in text
    reported = text.index("**Reported by the paper, not measured here:**")
    measured = text.index("**Measured here:** [A small board](small.md)")
    between = text[reported:measured]
    assert "20.5 ± 1.5" in between
    assert "10.0 [" not in between
    after = text[measured : text.index("**What differs:**")]
    assert "20.5" not in after
    # standard holds 1 of 10, and 9 of 10 are right without an attack.
    (cells,) = [row for row in cells_of(after) if row[0] == "Base"]
    assert cells[:4] == ["Base", "standard", "1", "10"]
    assert cells[4].startswith("90.0 [")
    assert cells[5].startswith("10.0 [")
    assert "smart" not in text
    assert "stands in for the task imdb" in after
    assert "Synthetic task" in after


def test_the_orderings_are_counted_and_shown(folder: Path) -> None:
    text = page_of(folder)
    (summary,) = [cells for cells in cells_of(text) if cells[0] == "P, imdb"]
    # Clean: both are right on 9 of 10. pwws: eight examples on one side.
    assert summary[1:] == [
        *("[A small board](small.md) (synthetic texts)", "1", "0", "1", "0", "0", "0")
    ]
    shown = [cells for cells in cells_of(text) if cells[-1] in ("holds", "cannot be told")]
    shown = [cells for cells in shown if cells[0] in ("clean", "pwws")]
    assert [cells[1] for cells in shown] == ["Base", "Ours"]
    assert [cells[-1] for cells in shown] == ["cannot be told", "holds"]


def test_orderings_on_the_same_answers_are_counted_again_and_said_so(folder: Path) -> None:
    (folder / "twin.toml").write_text(BOARD.replace("A small board", "A twin"))
    lines = [cells[2:] for cells in cells_of(page_of(folder)) if cells[0] == "P, imdb"]
    assert lines == [["1", "0", "1", "0", "0", "0"], ["1", "0", "1", "0", "0", "2"]]


def test_a_victim_that_has_not_learned_judges_no_ordering(
    folder: Path, make_record: MakeRecord
) -> None:
    victim = {"findings": ("chance: no better than guessing",)}
    options = {"epochs": 6, "batch_size": 8, "learning_rate": 0.5, "train_examples": 1200}
    for attack in ("pwws", "genetic"):
        record = make_record(
            "H" * 9 + "W", defense="rift", attack=attack, victim=victim, options=options
        )
        write_record(folder / "records" / record.file_name, record)
    found = cells_of(page_of(folder))
    (summary,) = [cells for cells in found if cells[0] == "P, imdb"]
    assert summary[2:] == ["0", "0", "0", "2", "0", "0"]
    shown = [cells[-2:] for cells in found if cells[-1] == "not judged"]
    assert shown == [["—", "not judged"]] * 2


def test_what_differs_has_the_words_of_the_paper_and_those_of_the_records(folder: Path) -> None:
    text = page_of(folder)
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line[:2] == "| "}
    assert "| 20 " in lines["epochs"]
    assert "4 (standard); 6 (rift)" in lines["epochs"]
    assert (
        "1,200 of pool 'train' (rift); all of pool 'train' (standard)"
        in (lines["training examples"])
    )
    assert "| an encoder" in lines["encoder"]
    assert "pwws; robench's own code" in lines["attacks"]


def test_every_part_of_a_setup_is_shown_and_found(make_record: MakeRecord) -> None:
    fields = set(Setup.model_fields) - {"paper", "task", "source"}
    assert set(SETTING_NAMES) == fields
    assert set(settings_found([make_record("HF")])) == fields


def test_settings_that_no_record_holds_say_so(make_record: MakeRecord) -> None:
    found = settings_found([make_record("HF"), make_record("HF", defense="rift", seed=1)])
    assert found["epochs"] == "not in the records"
    assert found["selection"] == "not in the records"
    assert found["language_model"] == "masked:tiny, for genetic"
    assert found["trainings"] == "1"
    none = make_record("HF", surface={"language_model": "none", "constrained": False})
    assert settings_found([none])["language_model"] == "none"
    more = settings_found([make_record("HF"), make_record("HF", defense="rift", seed=1), none])
    assert more["trainings"] == "1"


def test_findings_of_the_health_checks_stand_below_the_rows(
    folder: Path, make_record: MakeRecord
) -> None:
    assert "Health checks" not in page_of(folder)
    victim = {"findings": ("chance: no better than guessing",)}
    options = {"epochs": 6, "batch_size": 8, "learning_rate": 0.5, "train_examples": 1200}
    record = make_record(
        "H" * 9 + "W", defense="rift", attack="pwws", victim=victim, options=options
    )
    write_record(folder / "records" / record.file_name, record)
    assert ["rift, seed 0: chance: no better than guessing"] in cells_of(page_of(folder))


def test_without_a_board_the_page_says_so(folder: Path) -> None:
    (folder / "small.toml").unlink()
    text = page_of(folder)
    assert "**Measured here:** no board has this task yet." in text
    assert "**What differs:**" not in text


def test_a_board_without_such_rows_says_so(folder: Path) -> None:
    for path in (folder / "records").iterdir():
        path.unlink()
    assert "It has no row for a method of the paper yet." in page_of(folder)


@pytest.mark.parametrize(
    "text",
    ["no marks\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n", f"{BEGIN}\n{END}\n{END}\n"],
)
def test_a_page_needs_each_mark_once(folder: Path, text: str) -> None:
    (folder / "page.md").write_text(text)
    with pytest.raises(UsageError, match="needs each of these two lines once, in this order"):
        page_of(folder)


def test_a_page_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "page.md").unlink()
    with pytest.raises(UsageError, match=r"^Cannot read .*page\.md, which 'page' in the file"):
        page_of(folder)


def test_without_a_page_only_the_numbers_are_written(folder: Path) -> None:
    path = folder / "reported.toml"
    path.write_text(REPORTED.removeprefix('page = "page.md"\n'))
    assert list(pages_of(path)) == [folder / "reported.md"]
