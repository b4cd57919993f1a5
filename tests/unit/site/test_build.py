"""The folder of the site: what it holds, what is refused, and that old pages go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase, digits

import pytest
from hostile import TEXTS, controls, tags
from site_cases import cell, cells, write_toy_board
from trial_runs import write_run

from robench._base.errors import UsageError
from robench.site import bundled
from robench.site.build import MANIFEST, Site, SiteRequest, build, write

ROOT = Path(__file__).resolve().parents[3]


def site_of(folder: Path, third: str = "mixout", **more: object) -> Site:
    write_toy_board(folder, cells(third))
    return build(SiteRequest(folder, **more))  # type: ignore[arg-type]


def test_there_is_a_page_for_the_board_and_for_each_row(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    pages = {name for name in site.files if name.endswith(".html")}
    rows = ("rift", "standard", "mixout", "missing")
    assert pages == {"index.html", "board-toy.html", *(f"run-toy-{row}.html" for row in rows)}
    assert {f"assets/{name}" for name in bundled.SCRIPTS} <= set(site.files)


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    assert site_of(tmp_path / "a").files == site_of(tmp_path / "b").files


def test_every_link_of_the_site_leads_to_a_file_of_it(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    site = site_of(tmp_path / "boards", runs=[tmp_path / "run"])
    for name, page in site.files.items():
        if not name.endswith(".html"):
            continue
        for part in page.split('href="')[1:] + page.split('src="')[1:]:
            target, _, anchor = part.partition('"')[0].partition("#")
            assert target == "" or target in site.files, (name, target)
            if anchor:
                assert f'id="{anchor}"' in site.files[target or name], (name, anchor)


def test_no_page_names_a_place_in_a_network(tmp_path: Path) -> None:
    for name, page in site_of(tmp_path).files.items():
        if name.endswith(".html"):
            found = [each.split('"')[0] for each in page.split("http")[1:]]
            assert all(each.startswith("-equiv=") for each in found), (name, found)


def test_runs_add_examples_to_the_overview_and_to_a_page_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    site = site_of(tmp_path / "boards", runs=[tmp_path / "run"])
    assert "<del>good</del><ins>fine</ins>" in site.files["index.html"]
    assert site.files["examples.html"].count('class="example"') == 2
    # The run and the board are about the same victim, by the hash of its weights.
    assert "<ins>fine</ins>" in site.files["run-toy-standard.html"]
    assert "<ins>fine</ins>" not in site.files["run-toy-rift.html"]


def board_of(folder: Path, names: Sequence[str]) -> Site:
    """Return the site of a board with a row for each name."""
    records = {
        f"{number:02}.json": cell("HHHHHHHHFF", name, "pwws") for number, name in enumerate(names)
    }
    write_toy_board(folder, records)
    return build(SiteRequest(folder))


def test_hostile_names_change_no_tag_of_any_page_and_leave_no_folder(tmp_path: Path) -> None:
    # A lone surrogate cannot be written into a record, and a long text is refused by its reader.
    texts = [text for name, text in TEXTS.items() if name not in ("surrogate", "long")]
    plain = board_of(tmp_path / "plain", [f"row {number:02}" for number in range(len(texts))])
    hostile = board_of(tmp_path / "hostile", texts)
    assert sorted(map(tags, html_of(plain))) == sorted(map(tags, html_of(hostile)))
    assert not any(controls(page) for page in html_of(hostile))
    allowed = set(ascii_lowercase + digits + "-./LICENS")
    assert all(set(name) <= allowed and ".." not in name for name in hostile.files)


def html_of(site: Site) -> list[str]:
    """Return the pages."""
    return [text for name, text in site.files.items() if name.endswith(".html")]


def test_the_folder_is_written_and_lists_its_files(tmp_path: Path) -> None:
    site = site_of(tmp_path / "boards")
    write(site, tmp_path / "out")
    listed = json.loads((tmp_path / "out" / MANIFEST).read_text())["files"]
    found = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == {*listed, MANIFEST}
    assert set(listed) == set(site.files)


def test_pages_of_an_earlier_site_go_and_other_files_stay(tmp_path: Path) -> None:
    write(site_of(tmp_path / "boards"), tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    write(site_of(tmp_path / "boards", "zzz"), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "run-toy-zzz.html" in names
    assert "run-toy-mixout.html" not in names
    assert "mine.txt" in names


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("somebody's")
    with pytest.raises(UsageError, match="holds files that 'robench site build' did not write"):
        write(Site({"index.html": "x"}), tmp_path / "out")
    assert (tmp_path / "out" / "index.html").read_text() == "somebody's"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        write(Site({"index.html": "x"}), tmp_path / "out")


@pytest.mark.parametrize("content", ["{", "[]", '{"files": 3}'])
def test_a_damaged_list_of_files_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(UsageError, match="is damaged"):
        write(Site({"index.html": "x"}), tmp_path)


def test_a_list_of_files_cannot_remove_a_file_outside(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside.txt", tmp_path / "out"
    outside.write_text("x")
    out.mkdir()
    (out / "link.html").symlink_to(outside)
    listed = ["../outside.txt", str(outside), "link.html"]
    (out / MANIFEST).write_text(json.dumps({"files": listed}))
    write(Site({"index.html": "x"}), out)
    assert outside.exists()
    assert (out / "link.html").is_symlink()


def test_boards_with_a_worst_case_and_many_rows_come_first(tmp_path: Path) -> None:
    write_toy_board(tmp_path)
    small = (tmp_path / "toy.toml").read_text().replace('"standard", "missing"', '"standard"')
    (tmp_path / "a-small.toml").write_text(small.replace('"records"', '"none"'))
    links = build(SiteRequest(tmp_path)).files["index.html"].split('href="board-')[1:]
    assert [each.split(".html")[0] for each in links] == ["toy", "a-small"] * 2


def test_a_folder_without_boards_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match=r"There is no board: .* with --boards\."):
            build(SiteRequest(folder))


@pytest.mark.slow
def test_the_committed_boards_stay_small() -> None:
    site = build(SiteRequest(ROOT / "leaderboards"))
    assert site.size < 2_000_000
    assert site.problems == []
    boards = [path.stem for path in (ROOT / "leaderboards").glob("*.toml")]
    assert {f"board-{name}.html" for name in boards if name != "reported"} <= set(site.files)
    assert "papers.html" in site.files
