"""The site in a real browser: sorting, filters, links, charts, a phone, and accessibility.

The browser is that of the system: Chromium or Chrome. One session and one site serve all tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import TEXTS
from site_cases import cell, cells, geometry_points, with_curves, write_sweep, write_toy_board
from trial_runs import TRIALS, write_run

from robench import Verdict
from robench.figures.geometry_points import FILE_NAME, write_points
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.site.build import SiteRequest, build, write
from robench.site.report import report

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1200, "height": 900}
HOSTILE_ROW = TEXTS["html"] + TEXTS["attribute"]


def board() -> dict[str, Record]:
    """Return the records of the board, with a row whose name would run something."""
    more = {
        f"hostile-{attack}.json": cell("WFFFFFFFFF", HOSTILE_ROW, attack)
        for attack in ("pwws", "genetic")
    }
    return cells() | more


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site, and in it the report of a run."""
    root = tmp_path_factory.mktemp("site")
    write_toy_board(root / "boards", board())
    # A record with an error has no curves.
    held = {"verdict": Verdict.HELD, "prediction": 0, "problem": None}
    judged = [
        each.model_copy(update=held) if each.verdict is Verdict.ERROR else each for each in TRIALS
    ]
    made = with_curves(write_run(root / "run", judged))
    write_record(root / "run" / "records" / made.file_name, made)
    write_sweep(root / "sweep")
    write_points(root / "sweep" / FILE_NAME, geometry_points())
    runs = [root / "run", root / "sweep"]
    write(build(SiteRequest(root / "boards", runs=runs)), root / "out")
    (root / "out" / "report.html").write_text(report(root / "run").page)
    return root / "out"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path)
        yield opened
        opened.close()


class Tab:
    """A tab that keeps what the pages complain about, and what they ask of a network."""

    def __init__(self, browser: Any, site: Path, **settings: Any) -> None:
        self.site = site
        self.problems: list[str] = []
        self.page = browser.new_context(**settings).new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog {dialog.message}"))
        self.page.on("request", self._request)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.problems.append(f"asked for {request.url}")

    def open(self, name: str, state: str = "") -> Any:
        self.page.goto("about:blank")
        self.page.goto((self.site / name).as_uri() + state)
        return self.page

    def rows(self) -> list[str]:
        """Return the names of the rows that are shown, in their order."""
        names: list[str] = self.page.eval_on_selector_all(
            ".sortable tbody tr:not([hidden]) th", "rows => rows.map(row => row.textContent)"
        )
        return names

    def draw(self) -> int:
        """Scroll to each chart, wait until it is drawn, and return their number."""
        figures = self.page.locator("figure.chart")
        for number in range(figures.count()):
            figures.nth(number).scroll_into_view_if_needed()
            figures.nth(number).locator("svg").wait_for()
        count: int = figures.count()
        return count


@pytest.fixture(scope="module")
def desk(browser: Any, site: Path) -> Tab:
    return Tab(browser, site, viewport=DESK, color_scheme="light")


@pytest.fixture
def tab(desk: Tab) -> Iterator[Tab]:
    desk.problems.clear()
    yield desk
    assert desk.problems == []


def test_a_heading_sorts_and_says_so(tab: Tab) -> None:
    page = tab.open("board-toy.html")
    assert tab.rows()[:3] == ["rift", "standard", "mixout"]
    heading = page.locator("thead th[data-key=clean]")
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert tab.rows()[0] == "standard"
    assert heading.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    # A gap stays at the end, whatever the order.
    assert (tab.rows()[0], tab.rows()[-1]) == ("mixout", "missing")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.url.endswith("#sort=clean&order=ascending")


def test_a_search_filters_and_counts_the_rows(tab: Tab) -> None:
    page = tab.open("board-toy.html")
    page.get_by_label("Search rows").fill("RIFT")
    assert tab.rows() == ["rift"]
    assert page.locator("[data-status]").text_content() == "1 of 5 rows"
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Checked").select_option("verified")
    assert tab.rows() == ["standard"]
    assert page.url.endswith("#checked=verified")


def test_a_link_with_a_state_survives_a_reload(tab: Tab) -> None:
    page = tab.open("board-toy.html", "#sort=pwws&filter=i")
    shown = tab.rows()
    assert "rift" in shown
    assert "standard" not in shown
    assert page.locator("thead th[data-key=pwws]").get_attribute("aria-sort") == "descending"
    page.reload()
    assert tab.rows() == shown
    assert page.get_by_label("Search rows").input_value() == "i"


def test_a_state_that_makes_no_sense_leaves_the_table_as_it_is(tab: Tab) -> None:
    tab.open("board-toy.html", "#sort=%3Cscript%3E&order=sideways")
    assert tab.rows()[:3] == ["rift", "standard", "mixout"]


def test_every_chart_is_drawn_and_its_menu_works(tab: Tab) -> None:
    page = tab.open("board-toy.html")
    assert tab.draw() == 3
    page.get_by_label("Beside clean accuracy:").select_option("pwws")
    page.locator("#intervals ~ figure svg").wait_for()
    assert tab.open("run-toy-rift.html")
    assert tab.draw() == 2


def test_trainings_options_and_geometry_are_drawn(tab: Tab) -> None:
    page = tab.open("training.html")
    assert tab.draw() == 8
    circles = page.locator("#geometry-2-circles-0 ~ figure svg")
    assert circles.locator(".mark-symbol.role-mark path").count() == 8
    assert page.locator("table tbody tr").count() == 3


def test_a_hostile_name_is_a_text_on_every_page(tab: Tab) -> None:
    tab.open("board-toy.html")
    assert HOSTILE_ROW in tab.rows()
    tab.draw()
    tab.page.locator("tbody a", has_text="alert").first.click()
    assert tab.page.locator("h1").text_content() == HOSTILE_ROW
    tab.draw()


def test_examples_are_filtered(tab: Tab) -> None:
    page = tab.open("examples.html")
    page.get_by_label("Search texts").fill("dull")
    assert page.locator("li.example:not([hidden])").count() == 1
    assert page.locator("li.example:not([hidden]) del").first.is_visible()


def test_a_report_works_alone(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "alone.html").write_bytes((tab.site / "report.html").read_bytes())
    page = tab.page
    page.goto((tmp_path / "alone.html").as_uri())
    assert tab.rows() == ["standard"]
    assert tab.draw() >= 1
    assert page.locator("li.example").count() == 2


PAGES = (
    "index.html",
    "board-toy.html",
    "run-toy-rift.html",
    "examples.html",
    "training.html",
    "report.html",
)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_pages_fit_a_phone_and_are_accessible(browser: Any, site: Path, colours: str) -> None:
    phone = Tab(browser, site, viewport=PHONE, color_scheme=colours)
    found = {}
    for name in PAGES:
        page = phone.open(name)
        phone.draw()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], name
        # axe would ask for the style sheet again, which the policy of the page refuses.
        results = axe.Axe().run(page, options={"preload": False})
        found[name] = [
            (each["id"], each["nodes"][0]["html"][:150]) for each in results.response["violations"]
        ]
    assert found == {name: [] for name in PAGES}
    assert phone.problems == []
