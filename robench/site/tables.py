"""A table of a board or of a run, as the pages show it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.escaping import Markdown, prose
from robench.records import certified_table
from robench.records.board_contents import BoardContents, read_board
from robench.records.columns import Columns
from robench.records.comparable import Admitted
from robench.records.marks import ABSENT, NO_MARKS, Marks
from robench.records.meanings import meanings_of_board
from robench.records.notes import synthetic_notice
from robench.records.paired import ComparedTable, compare_rows
from robench.records.percent import percent
from robench.records.record import Record
from robench.records.record_files import KnownRecords
from robench.records.rows import DefenseRow, Gap, build_rows
from robench.records.sandwich import Sandwich
from robench.records.statistics import Score
from robench.records.trade_off import TradeOff, weigh
from robench.records.training_notes import TRAINED_MARK
from robench.records.verified import VerifiedRecord, read_verified
from robench.site.sections import Split, split

CLEAN, WORST = "clean", "worst"
"""Keys of the columns that every table has, besides those of its attacks."""


@dataclass(frozen=True)
class Table:
    """A table with everything that its pages need.

    Attributes:
        name: name of its file and of links to it; letters, digits and hyphens.
        title: its heading.
        about: what a person wrote about it.
        columns: its columns.
        admitted: its records by the names of their files.
        rows: the rows, the most robust one first.
        compared: what the paired tests say of them.
        marks: what ``robench verify`` found.
        checked: file of a verified record -> what was checked.
        sandwiches: certificates beside attacks.
        split: notes and further parts.
    """

    name: str
    title: str
    about: Markdown
    columns: Columns
    admitted: Admitted
    rows: Sequence[DefenseRow]
    compared: ComparedTable
    marks: Marks
    checked: Mapping[str, VerifiedRecord]
    sandwiches: Sequence[Sandwich]
    split: Split

    @property
    def records(self) -> dict[str, Record]:
        """All records that stand in the table, also those with errors."""
        return {**self.admitted.records, **self.admitted.failed}

    @property
    def synthetic(self) -> str:
        """A notice that the texts are synthetic; empty where they are not."""
        return synthetic_notice(self.records.values())

    @property
    def trade_offs(self) -> Sequence[TradeOff]:
        """Clean accuracy beside the worst case."""
        return weigh(self.rows)

    def of_row(self, label: str) -> dict[str, Record]:
        """Return the records of a row by the names of their files."""
        return {name: each for name, each in self.records.items() if each.row == label}


def board_table(path: Path, known: KnownRecords | None = None) -> Table:
    """Return the table of the board whose TOML file is ``path``.

    Raises:
        UsageError: the TOML file is missing or wrong.
        RobenchError: a record or a certificate cannot be read, or the records disagree.
    """
    contents = read_board(path, known)
    lines = _without_about(contents)
    lines += certified_table.markdown(contents.sandwiches, refused=contents.refused_certificates)
    meanings = [meanings_of_board(contents.columns)]
    records = [*contents.admitted.records.values(), *contents.admitted.failed.values()]
    columns = contents.columns
    rows = build_rows(records, columns.attacks, contents.expected, columns.worst_over)
    return Table(
        name=slug(path.stem),
        title=contents.board.title,
        about=prose(contents.board.about),
        columns=columns,
        admitted=contents.admitted,
        rows=rows,
        compared=compare_rows(rows),
        marks=contents.marks,
        checked=checked_files(contents.folder, contents.marks),
        sandwiches=contents.sandwiches,
        split=split([*lines, *meanings], shown_above=synthetic_notice(records)),
    )


def _without_about(contents: BoardContents) -> list[str]:
    """Return the Markdown of a board without the paragraph at its beginning."""
    lines = contents.section()
    return lines[1:] if contents.board.about else lines


def checked_files(folder: Path, marks: Marks = NO_MARKS) -> dict[str, VerifiedRecord]:
    """Return file of a record -> what ``robench verify`` checked, for the verified records."""
    entries = {each.file: each for each in read_verified(folder).records.values()}
    return {name: entries[name] for name in marks.names if name in entries}


def slug(text: str) -> str:
    """Return a short name for files and links: letters, digits and hyphens.

    A text that is not such a name itself also gets the first digits of its hash, so two texts
    never share a name.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    if plain and plain == text:
        return plain
    sha256 = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return "-".join(part for part in (plain, sha256[:6]) if part)


@dataclass(frozen=True)
class Column:
    """A column that can be sorted.

    Attributes:
        key: its name in links, such as ``#sort=pwws``.
        heading: its heading.
        meaning: what it means, in a sentence.
    """

    key: str
    heading: str
    meaning: str


@dataclass(frozen=True)
class Cell:
    """A score in a table.

    Attributes:
        text: the mean in %, or why there is none.
        detail: spread over the seeds and interval.
        sort: the mean in [0, 1]; None without one.
    """

    text: str
    detail: str
    sort: float | None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        label: its name.
        name: name of its page and of links to it.
        seeds: number of trainings, and ``examples`` the number of test examples, as text.
        cells: its scores, one for each ``score_columns``.
        group: letters that it shares with the rows from which no test tells it apart.
        checked: ``"verified"``, ``"claimed"`` or ``"—"``.
    """

    label: str
    name: str
    seeds: int
    examples: int | None
    cells: tuple[Cell, ...]
    group: str
    checked: str


def score_columns(columns: Columns) -> list[Column]:
    """Return the columns of scores: clean accuracy, each attack, and the worst case."""
    found = [Column(CLEAN, "clean accuracy", "Right without an attack.")]
    taken = {"row", "seeds", "n", CLEAN, WORST, "group", "checked"}
    for attack, heading in zip(columns.attacks, columns.headings, strict=True):
        key = attack if attack not in taken else f"{attack} (attack)"
        meaning = "Accuracy under this attack: right without it, and not fooled by it."
        found.append(Column(key, heading, meaning))
    meaning = "Right under every attack of the worst case, example by example."
    return [*found, Column(WORST, columns.worst_heading, meaning)]


def row_views(table: Table) -> list[Row]:
    """Return the rows of a table."""
    checked, groups = table.marks.of_rows(table.admitted), table.compared.groups or {}
    return [
        Row(
            row.defense,
            slug(row.defense),
            len(row.seeds),
            row.examples,
            tuple(_cells(row, table.columns)),
            groups.get(row.defense, ABSENT),
            checked.get(row.defense, ABSENT),
        )
        for row in table.rows
    ]


def _cells(row: DefenseRow, columns: Columns) -> Iterable[Cell]:
    yield cell_of(row.clean)
    for attack in columns.attacks:
        yield cell_of(row.under[attack], TRAINED_MARK if attack in row.trained_against else "")
    # Where no attack searches, the worst case is not missing: there is none.
    yield cell_of(row.worst) if columns.worst_over else Cell(ABSENT, "", None)


def cell_of(score: Score | Gap, mark: str = "") -> Cell:
    """Return a score as a cell; ``mark`` follows the number."""
    if isinstance(score, Gap):
        seeds = f"{score.have} of {score.want} seeds" if score.want > 1 else ""
        return Cell("error" if score.kind == "error" else ABSENT, seeds, None)
    low, high = score.interval
    spread = "" if score.spread is None else f"± {percent(score.spread)} "
    shown = f"{percent(score.mean)} {mark}".strip()
    return Cell(shown, f"{spread}[{percent(low)}, {percent(high)}]", score.mean)
