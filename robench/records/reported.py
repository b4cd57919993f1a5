"""Numbers that papers report: copied by hand, each with its source, and never measured here.

``leaderboards/reported.toml`` holds them. ``reported_pages`` makes a page of them,
``orderings`` says which row of a paper stands above which, and ``beside`` puts them beside the
boards. A number stands in the file as a text, exactly as the paper prints it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from robench._base.bounded_reading import Unreadable, read_toml
from robench._base.errors import UsageError
from robench._base.escaping import NAME, one_line

REPORTED: Final = "reported.toml"
"""Name of the file. It lies beside the boards and is none."""
CLEAN: Final = "none"
"""The attack of a clean accuracy: no attack at all."""

_NUMBER = r"[0-9]{1,3}(?:\.[0-9]{1,3})?"
_PRINTED = re.compile(f"(?P<value>{_NUMBER})(?: ± (?P<spread>{_NUMBER}))?")

Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^\S.*\S$|^\S$")]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^\S.*\S$")]
OptionValue = bool | int | float | str


class _Part(BaseModel):
    """Base of the parts of the file. They are frozen and refuse unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Paper(_Part):
    """A paper whose numbers are copied.

    Attributes:
        name: short name, such as that of its method.
        cite: authors, place and year.
        title: title of the paper.
        url: address of the paper.
        notes: what a reader of the numbers should know.
        missing: why no table is copied; only for a paper without tables.
    """

    name: Name
    cite: Sentence
    title: Sentence
    url: Annotated[str, StringConstraints(max_length=200, pattern=r"^https://[\w./-]+$")]
    notes: tuple[Sentence, ...] = Field(default=(), max_length=20)
    missing: Sentence | None = None


class Setup(_Part):
    """How a paper trained and attacked on one task, in words.

    Attributes:
        paper: name of the paper.
        task: name of the task in robench.
        source: where the paper says it.
        encoder: the pre-trained encoder.
        training: the training examples.
        epochs: number of epochs.
        batch_size: examples of a step.
        learning_rate: learning rate.
        selection: how the epoch was chosen.
        tokens: how words become tokens.
        language_model: the constraint on substitutes.
        attacks: the attacks and who wrote their code.
        judged: the test examples.
        trainings: number of trainings for each row.
    """

    paper: Name
    task: Name
    source: Sentence
    encoder: Sentence
    training: Sentence
    epochs: Name
    batch_size: Name
    learning_rate: Name
    selection: Sentence
    tokens: Sentence
    language_model: Sentence
    attacks: Sentence
    judged: Sentence
    trainings: Name


class Column(_Part):
    """A column of a paper's table.

    Attributes:
        printed: its heading.
        attack: name of the attack in robench; ``"none"`` for a clean accuracy.
        examples: number of test examples, or None where the paper does not say it.
    """

    printed: Name
    attack: Name
    examples: int | None = Field(default=None, ge=1, le=10_000_000)


class Row(_Part):
    """A row of a paper's table.

    Attributes:
        printed: its heading.
        defense: name of the defense in robench, or None where no row of a board is the same.
        options: options of the defense that make the row what it is.
        values: the cells as they are printed, one for each column.
    """

    printed: Name
    defense: Name | None = None
    options: dict[str, OptionValue] = Field(default={}, max_length=20)
    values: tuple[str, ...] = Field(min_length=1, max_length=20)

    @field_validator("values")
    @classmethod
    def _are_accuracies(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for text in values:
            parse_printed(text)
        return values

    @model_validator(mode="after")
    def _options_have_a_defense(self) -> Self:
        if self.options and self.defense is None:
            raise ValueError("options need a 'defense'")
        return self


class ReportedTable(_Part):
    """A table of a paper, or one of its parts.

    Attributes:
        paper: name of the paper.
        source: number of the table and its part.
        where: the document that holds it.
        caption: what the paper says above it.
        task: name of the task in robench.
        encoder: name of the encoder.
        columns: its columns.
        rows: its rows.
    """

    paper: Name
    source: Name
    where: Literal["main paper", "supplement", "arXiv version"]
    caption: Sentence
    task: Name
    encoder: Name
    columns: tuple[Column, ...] = Field(min_length=1, max_length=20)
    rows: tuple[Row, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(
                    f"row '{row.printed}' of {self.source} has {len(row.values)} values for "
                    f"{len(self.columns)} columns"
                )
        _check_once(f"row of {self.source}", (row.printed for row in self.rows))
        _check_once(f"column of {self.source}", (column.printed for column in self.columns))
        return self


@dataclass(frozen=True)
class ReportedNumber:
    """One number of a paper with everything that says where it stands and what it means.

    Attributes:
        table: the table.
        row: the row.
        column: the column.
        printed: the number as the paper prints it, such as ``"77.2 ± 0.8"``.
        value: the number, in [0, 100].
        spread: what stands behind ±, in [0, 100], or None.
    """

    table: ReportedTable
    row: Row
    column: Column
    printed: str
    value: float
    spread: float | None

    @property
    def source(self) -> str:
        """Where it stands: paper, table, row and column."""
        return (
            f"{self.table.paper}, {self.table.source}, row {self.row.printed}, "
            f"column {self.column.printed}"
        )


class Reported(_Part):
    """Everything that ``reported.toml`` holds.

    Attributes:
        page: the page that shows the boards beside the papers, relative to the file; or None.
        stand_ins: task of a board -> task of the papers beside which it is shown.
        papers: the papers.
        setups: how they trained and attacked.
        tables: their tables, in the order of the file.
    """

    page: (
        Annotated[str, StringConstraints(max_length=200, pattern=r"^[\w.][\w./-]*\.md$")] | None
    ) = None
    stand_ins: dict[Name, Name] = Field(default={}, max_length=20)
    papers: tuple[Paper, ...] = Field(min_length=1, max_length=50)
    setups: tuple[Setup, ...] = Field(default=(), max_length=100)
    tables: tuple[ReportedTable, ...] = Field(default=(), max_length=500)

    @model_validator(mode="after")
    def _parts_belong_together(self) -> Self:
        names = [paper.name for paper in self.papers]
        _check_once("paper", names)
        _check_once("table", (f"{table.paper}, {table.source}" for table in self.tables))
        _check_once("setup", (f"{setup.paper}, {setup.task}" for setup in self.setups))
        named = [table.paper for table in self.tables] + [setup.paper for setup in self.setups]
        for name in named:
            if name not in names:
                raise ValueError(f"there is no paper '{name}' among {', '.join(names)}")
        for paper in self.papers:
            has_tables = any(table.paper == paper.name for table in self.tables)
            if has_tables == (paper.missing is not None):
                raise ValueError(
                    f"the paper '{paper.name}' needs either tables, or a sentence 'missing' that "
                    "says why it has none"
                )
        return self

    def numbers(self) -> Iterator[ReportedNumber]:
        """Yield every number, table by table and row by row."""
        for table in self.tables:
            for row in table.rows:
                for column, printed in zip(table.columns, row.values, strict=True):
                    value, spread = parse_printed(printed)
                    yield ReportedNumber(table, row, column, printed, value, spread)


def parse_printed(text: str) -> tuple[float, float | None]:
    """Return value and spread of a number as a paper prints it: ``"77.2 ± 0.8"``.

    Raises:
        ValueError: it is no such number, or not in [0, 100].
    """
    found = _PRINTED.fullmatch(text)
    if found is None:
        raise ValueError(
            f"'{text[:40]}' is no accuracy as a paper prints it, such as '77.2' or '77.2 ± 0.8'"
        )
    value, spread = float(found["value"]), found["spread"]
    if max(value, float(spread or 0)) > 100:
        raise ValueError(f"'{text}' is not in [0, 100]")
    return value, None if spread is None else float(spread)


def _check_once(what: str, names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise ValueError(f"the {what} '{name}' stands {times} times")


def load_reported(path: Path) -> Reported:
    """Return what a file of reported numbers holds.

    Raises:
        UsageError: the file is missing or wrong.
    """
    try:
        table = read_toml(path)
        # From JSON, and strict: lists become tuples, and 77.2 does not become "77.2".
        return Reported.model_validate_json(json.dumps(table, default=str), strict=True)
    except Unreadable as error:
        raise UsageError(f"Cannot read the reported numbers {path}: {error.reason}.") from error
    except ValidationError as error:
        raise UsageError(f"The reported numbers {path}: {_first(error, table)}.") from error


def _first(error: ValidationError, table: Mapping[str, Any]) -> str:
    """Return what is wrong first, and where: ``'tables.3.rows.0.values' (Table 1): …``."""
    first = error.errors()[0]
    what = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return what
    where = f"'{'.'.join(map(str, first['loc']))}'"
    match first["loc"]:
        case ("tables", int(place), *_):
            source = table["tables"][place]
            source = source.get("source") if isinstance(source, dict) else None
            where += f" ({one_line(source, NAME)})" if isinstance(source, str) else ""
    return f"{where}: {what[:1].lower()}{what[1:]}"
