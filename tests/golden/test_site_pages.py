"""The pages of a small site, compared with outlines that were read by hand.

An outline has what a reader meets: headings, links, tables, charts, texts. It has no styles. After
a change that is wanted, write the files again and read the difference::

    PYTHONPATH=tests python tests/golden/test_site_pages.py
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from page_outline import outline
from site_cases import geometry_points, write_sweep, write_toy_board
from trial_runs import write_run

from robench._base.release import __version__
from robench.figures.geometry_points import FILE_NAME, write_points
from robench.site.build import SiteRequest, build
from robench.site.report import report

EXPECTED = Path(__file__).parent / "site"
PAGES = ("index", "board-toy", "run-toy-rift", "examples", "training", "report")


def outlines(folder: Path) -> dict[str, str]:
    """Return the outlines of a site of one board and two runs, and of the report of a run."""
    write_toy_board(folder / "boards")
    write_run(folder / "run")
    write_sweep(folder / "sweep")
    write_points(folder / "sweep" / FILE_NAME, geometry_points())
    runs = [folder / "run", folder / "sweep"]
    pages = dict(build(SiteRequest(folder / "boards", runs=runs)).files)
    pages["report.html"] = report(folder / "run").page
    return {name: _settled(outline(pages[f"{name}.html"])) for name in PAGES}


def _settled(text: str) -> str:
    """Take out what every version and every licence changes."""
    text = text.replace(f"robench {__version__}.", "robench VERSION.")
    return re.sub(r"(?m)^(pre): Licences of.*$|^pre: Vega.*$", r"pre: LICENCES", text)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outlines(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_one_that_was_read_by_hand(found: dict[str, str], name: str) -> None:
    expected = (EXPECTED / f"{name}.txt").read_text(encoding="utf-8")
    assert found[name].splitlines() == expected.splitlines()


def test_an_outline_sees_a_change() -> None:
    page = '<h2 id="a">One</h2><p>Two <b>three</b></p><style>p { color: red }</style>'
    assert outline(page) == "h2 id=a: One\np: Two three\n"
    assert outline(page.replace("Two", "2")) != outline(page)
    assert outline(page.replace("red", "blue")) == outline(page)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        for page, text in outlines(Path(place)).items():
            EXPECTED.mkdir(exist_ok=True)
            (EXPECTED / f"{page}.txt").write_text(text, encoding="utf-8")
