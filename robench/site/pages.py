"""The pages of the site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from robench._base.counted import counted
from robench._base.escaping import Markdown
from robench._base.release import __version__
from robench.records.curves import CURVES
from robench.records.record import Record
from robench.records.reported import load_reported
from robench.records.reported_pages import render_reported
from robench.site import bundled
from robench.site.charts import MOST_ROWS, Chart, certified, curves, intervals, trade_off
from robench.site.example_data import NO_EXAMPLES, Examples
from robench.site.findings import findings
from robench.site.rendering import markdown_html, render
from robench.site.row_names import with_short_names
from robench.site.row_pages import row_charts, row_page
from robench.site.tables import Table, row_views, score_columns, slug
from robench.site.trainings import TrainingPage, training_page
from robench.site.words import NO_RUNS, TERMS

ON_ROW_PAGE: Final = 5
"""Adversarial examples on the page of a row."""
POLICY: Final = (
    "default-src 'none'; script-src {scripts}; style-src {styles} 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""What a browser may load for a page: the scripts of the site, and nothing from a network."""
OVERVIEW, EXAMPLES, TRAINING, PAPERS = (
    f"{name}.html" for name in ("index", "examples", "training", "papers")
)


@dataclass(frozen=True)
class Frame:
    """What stands around the content of every page.

    Attributes:
        made_by: the command that made the page.
        tables: the tables of the site, for the links.
        inline: whether scripts and styles stand in the page, so that it needs no other file.
        extra: file and text of further links.
    """

    made_by: str
    tables: Sequence[Table] = ()
    inline: bool = False
    extra: Sequence[tuple[str, str]] = ()

    def page(
        self, template: str, name: str, title: str, *, of: Table | None = None, **values: Any
    ) -> str:
        """Return the page called ``name``.

        Args:
            template: file of its template.
            name: name of its file.
            title: its title.
            of: the table whose row it shows. The page links to no other table, because a site has
                one such page for each row of each table.
            values: what the template needs.
        """
        tables = self.tables if of is None else [of]
        links = [(OVERVIEW, "Overview"), *((board_page(t), t.name) for t in tables)]
        shown = [] if self.inline else [*links, *self.extra]
        scripts = [Markup(bundled.text_of(each)) for each in bundled.SCRIPTS]
        hashes = " ".join(map(bundled.policy_hash, bundled.SCRIPTS))
        return render(
            template,
            title=title,
            inline=self.inline,
            policy=POLICY.format(
                scripts=hashes if self.inline else "'self' file:",
                styles="" if self.inline else "'self' file:",
            ),
            styles=Markup(bundled.text_of("site.css")) if self.inline else "",
            scripts=scripts if self.inline else bundled.SCRIPTS,
            links=[{"href": h, "text": text, "current": h == name} for h, text in shown],
            made_by=self.made_by,
            version=__version__,
            **values,
        )


def board_page(table: Table) -> str:
    """Return the name of a table's page."""
    return f"board-{table.name}.html"


def run_page(table: Table, row: str) -> str:
    """Return the name of the page of a row."""
    return f"run-{table.name}-{slug(row)}.html"


def table_charts(table: Table) -> list[Chart]:
    """Return the charts of a table: scores, trade-off, curves of its best rows, certificates."""
    found = [intervals(table), trade_off(table), *_best_curves(table), certified(table.sandwiches)]
    charts = [each for each in found if each is not None]
    return with_short_names(charts, [row.defense for row in table.rows])


def _best_curves(table: Table) -> Iterator[Chart | None]:
    """Yield the curves over queries and words of the most robust rows, under one attack.

    It is the first attack under which all of these rows have a record.
    """
    best = [row.defense for row in table.rows[:MOST_ROWS]]
    records = [each for each in table.admitted.records.values() if each.row in best]
    for attack in table.columns.worst_over:
        if best and {each.row for each in records if each.attack.label == attack} == set(best):
            for name in CURVES:
                yield _named(curves(records, name, "row", attack), attack, len(table.rows))
            return


def _named(chart: Chart | None, attack: str, rows: int) -> Chart | None:
    if chart is None:
        return None
    words = f"{chart.words} The attack is {attack}."
    if rows > MOST_ROWS:
        words += f" The lines are the {MOST_ROWS} most robust rows; the pages of the rows have all."
    return Chart(chart.id, chart.title, words, chart.spec)


@dataclass
class SitePages:
    """All pages of a site.

    Attributes:
        frame: what stands around them.
        examples: adversarial examples.
        runs: folders of runs whose trainings are drawn.
        reported: the file of the numbers that papers report.
        problems: sentences about what is left out, once ``all`` was called.
    """

    frame: Frame
    examples: Examples = NO_EXAMPLES
    runs: Sequence[Path] = ()
    reported: Path | None = None
    problems: list[str] = field(default_factory=list)

    def all(self) -> Iterator[tuple[str, str]]:
        """Yield name and content of each page."""
        trainings = training_page(self.runs)
        self.problems = list(trainings.problems)
        extra = [
            (EXAMPLES, "Adversarial examples", bool(self.examples.found)),
            (TRAINING, "Training", bool(trainings.charts)),
            (PAPERS, "Numbers of papers", self.reported is not None),
        ]
        links = [(name, text) for name, text, there in extra if there]
        self.frame = Frame(self.frame.made_by, self.frame.tables, self.frame.inline, links)
        yield OVERVIEW, self._overview(links)
        for table in self.frame.tables:
            yield from self._of_table(table)
        if self.examples.found:
            yield EXAMPLES, self._examples()
        if trainings.charts:
            yield TRAINING, self._training(trainings)
        if self.reported is not None:
            yield PAPERS, self._papers(self.reported)

    def _overview(self, links: Sequence[tuple[str, str]]) -> str:
        cards = [
            {
                "href": board_page(table),
                "title": table.title,
                "what": about_line(table),
                "synthetic": bool(table.synthetic),
                "findings": findings(table),
            }
            for table in self.frame.tables
        ]
        example = self.examples.found[0] if self.examples.found else None
        extra = [{"href": href, "text": text} for href, text in links]
        return self.frame.page(
            "overview.html",
            OVERVIEW,
            "Boards",
            cards=cards,
            example=example,
            extra=extra,
            terms=TERMS,
            missing=[] if self.runs else [NO_RUNS],
        )

    def _of_table(self, table: Table) -> Iterator[tuple[str, str]]:
        name = board_page(table)
        pages = {row.defense: run_page(table, row.defense) for row in table.rows}
        yield (
            name,
            self.frame.page(
                "board.html",
                name,
                table.title,
                table=table,
                columns=score_columns(table.columns),
                rows=row_views(table),
                pages=pages,
                charts=table_charts(table),
            ),
        )
        back = {"href": name, "text": table.title}
        for row in table.rows:
            records = table.of_row(row.defense).values()
            shown = row_page(table, row, self.examples.about(records, ON_ROW_PAGE))
            page = pages[row.defense]
            charts = row_charts(table, row)
            made = self.frame.page(
                "row.html",
                page,
                row.defense,
                of=table,
                row=shown,
                board=back,
                charts=charts,
                synthetic=table.synthetic,
            )
            yield page, made

    def _examples(self) -> str:
        found = self.examples.found
        return self.frame.page(
            "examples.html",
            EXAMPLES,
            "Adversarial examples",
            examples=found,
            rows=sorted({each.row for each in found}),
            attacks=sorted({each.attack for each in found}),
            bound=f"The page shows {len(found)} of the fooled examples; long texts are shortened.",
        )

    def _training(self, found: TrainingPage) -> str:
        return self.frame.page(
            "training.html", TRAINING, "Training", lead=TRAINING_WORDS, found=found
        )

    def _papers(self, path: Path) -> str:
        """Return the page of the numbers that papers report, as ``reported.md`` has them."""
        text = render_reported(load_reported(path))
        lines = [line for line in text.split("\n") if not line.startswith(("<!--", "# ", "["))]
        body = markdown_html(Markdown("\n".join(lines)), addresses=True)
        title = "Numbers that papers report"
        return self.frame.page("page.html", PAPERS, title, body=body)


TRAINING_WORDS: Final = (
    "How far fine-tuning moved the weights from the pre-trained ones, and what happened on the way "
    "(Figure 2 of the RIFT paper). A large distance is a sign of forgetting.",
)


def about_line(table: Table) -> str:
    """Return the task, the encoder and the numbers of rows and examples, in a line."""
    records: list[Record] = list(table.records.values())
    if not records:
        return "There are no records yet."
    tasks = sorted({each.task.file_part for each in records})
    encoders = sorted({each.encoder.name for each in records if each.encoder is not None})
    numbers = sorted({each.counts.n for each in records})
    parts = [
        f"task {', '.join(tasks)}",
        f"encoder {', '.join(encoders)}" if encoders else "given victims",
        counted(len(table.rows), "row"),
        counted(len(table.columns.attacks), "attack"),
        f"{' or '.join(map(str, numbers))} examples",
    ]
    return " · ".join(parts)
