"""The documentation: the site builds without a warning, and links in Markdown lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from robench.cli import main
from robench.records.board import board_files, load_board
from robench.records.reported import load_reported

ROOT = Path(__file__).resolve().parents[2]
REPORTED_NUMBERS = ROOT / "leaderboards" / "reported.toml"
CODE = re.compile(r"^```.*?^```$|``?[^`\n]+``?", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE_PATH = re.compile(
    r"`((?:robench|attacks|defenses|docs|scripts|tests|benchmarks|leaderboards)/[\w./-]+)`"
)

WRITTEN = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "leaderboards" / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
"""Pages that people write; generated boards are not among them."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    bare = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in bare}


def missing_links(page: Path) -> list[str]:
    """Links of a page into the repository whose file or heading does not exist."""
    missing = []
    for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        # API pages exist in the built site only; the strict build checks those links.
        if "reference/api/" in target:
            continue
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            missing.append(target)
    return missing


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert missing_links(page) == []


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_path_in_code_font_exists(page: Path) -> None:
    paths = CODE_PATH.findall(page.read_text(encoding="utf-8"))
    templates = ("NAME", "my", "…")  # names that a reader fills in
    real = [path for path in paths if not any(template in path for template in templates)]
    assert [path for path in real if not (ROOT / path).exists()] == []


def is_defined(dotted: str) -> bool:
    """Return whether ``robench.a.b.Name`` is a module or the deepest module names the rest."""
    parts = dotted.split(".")
    for depth in range(len(parts), 1, -1):
        inside = parts[1:depth]
        folders = [ROOT / "robench", ROOT]  # attacks/ and defenses/ lie beside robench/
        found = [folder.joinpath(*inside).with_suffix(".py") for folder in folders]
        found += [folder.joinpath(*inside, "__init__.py") for folder in folders]
        for path in filter(Path.is_file, found):
            rest = parts[depth:]
            text = path.read_text(encoding="utf-8")
            return not rest or re.search(rf"\b{rest[0]}\b", text) is not None
    rest = parts[1:]
    return (
        re.search(rf"\b{rest[0]}\b", (ROOT / "robench/__init__.py").read_text("utf-8")) is not None
    )


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_dotted_name_of_robench_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = set(re.findall(r"`(robench(?:\.\w+)+)", text))
    names |= set(re.findall(r"from (robench(?:\.\w+)+) import", text))
    assert sorted(name for name in names if not is_defined(name)) == []


def cells_of(page: str) -> list[list[str]]:
    """Cells of the rows of all tables on a page."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_architecture_names_every_room_and_modules_that_exist() -> None:
    rows = cells_of("architecture.md")
    rooms = {path.parent.name for path in (ROOT / "robench").glob("*/__init__.py")}
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert rooms <= named
    found = 0
    for room in rooms:
        (text,) = [row[1] for row in rows if row[0] == f"`{room}`"]
        for listed in re.findall(r"\(([^()]*)\)", text):
            for module in re.findall(r"`(\w+)`", listed):
                assert (ROOT / "robench" / room / f"{module}.py").is_file(), f"{room}: {module}"
                found += 1
    assert found > 10


def test_the_picture_of_the_rooms_has_every_room() -> None:
    picture = (ROOT / "docs" / "images" / "rooms.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'font-weight="bold"[^>]*>([^<]+)</text>', picture)
    rooms = {path.parent.name for path in (ROOT / "robench").glob("*/__init__.py")}
    assert sorted(drawn) == sorted(rooms | {"protocol", "attacks", "defenses"})


def test_the_glossary_has_each_term_once() -> None:
    terms = [term for row in cells_of("glossary.md") for term in row[0].split(", ")]
    terms = [term for term in terms if term != "term"]
    assert sorted(terms) == sorted(set(terms))
    new = "held-out set, certificate, smoothing, draws, transfer, curve, log-odds, temperature"
    assert {*new.split(", "), "unknown share", "flag", "ALARM", "sandwich"} <= set(terms)


def test_the_study_of_every_defense_has_a_row_for_each_or_names_it_as_missing() -> None:
    study = ROOT / "docs" / "studies" / "every-defense-on-mini-reviews.md"
    text = study.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)` +\|", text, re.MULTILINE))
    quote = " ".join(line for line in text.splitlines() if line.startswith(">"))
    missing = set(re.findall(r"`([\w-]+)`", quote))
    files = (ROOT / "defenses").glob("[a-z]*.py")
    assert rows | missing == {file.stem.replace("_", "-") for file in files}
    assert not rows & missing


def test_the_readme_names_every_defense_and_attack() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind in ("defense", "attack"):
        section = re.split(r"^## ", text, flags=re.MULTILINE)
        (table,) = [each for each in section if each.startswith(f"{kind.title()}s\n")]
        first = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        named = {name.split("+")[-1] for each in first for name in re.findall(r"`([^`:]+)`", each)}
        files = (ROOT / f"{kind}s").glob("[a-z]*.py")
        assert {file.stem.replace("_", "-") for file in files} - named == set()


def test_the_readme_counts_the_defenses_and_attacks_that_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files = {kind: list((ROOT / kind).glob("[a-z]*.py")) for kind in ("defenses", "attacks")}
    defenses = len(files["defenses"])
    # The attack "none" attacks nothing.
    attacks = len([path for path in files["attacks"] if path.stem != "none"])
    assert f"Today it has {defenses} [defenses](#defenses) and {attacks} [attacks]" in text
    assert f"| {attacks}, by words; TextAttack's recipes as an extra |" in text
    assert f"| {defenses} defenses, and combinations of them |" in text


def test_the_readme_sends_to_the_numbers_of_papers_and_holds_none() -> None:
    """A reported number has its source beside it in one file, and only there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "leaderboards/reported.md" in text
    assert "docs/reproducing.md#reported-and-measured" in text
    numbers = {number.printed for number in load_reported(REPORTED_NUMBERS).numbers()}
    # One without ± may be a measured number by chance.
    printed = {each for each in numbers if "±" in each}
    assert len(printed) == 40
    assert [each for each in printed if each in text] == []


def test_the_readme_says_that_no_board_has_bert_as_long_as_none_has() -> None:
    """The first board with such an encoder must change these sentences."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    encoders = {load_board(path).encoder for path in board_files(ROOT / "leaderboards")}
    none_has = not any("bert" in encoder for encoder in encoders)
    assert ("No board has BERT or RoBERTa yet." in text) == none_has
    assert ("**small encoders only**" in text) == none_has


def test_the_readme_links_every_study_and_the_pages_about_validity() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    studies = {name_of(page) for page in (ROOT / "docs" / "studies").glob("*.md")}
    pages = ["randomised-victims", "certified", "held-out-sets", "transfer", "concepts/validity"]
    assert studies | {f"docs/{name}.md" for name in pages} <= linked


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_lines_have_at_most_100_columns(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    # A row of a table is one line, whatever its length, and so is a picture.
    long = [line for line in text.splitlines() if len(line) > 100 and line[:1] not in "|!"]
    assert long == []


def shown_calls() -> list[tuple[str, str, str]]:
    """Page, command and output of each ``$ robench ...`` that a page shows."""
    calls = []
    for page in WRITTEN:
        for block in re.findall(r"^```\n(\$ .*?)^```$", page.read_text("utf-8"), re.M | re.S):
            for call in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = call.partition("\n")
                calls.append((name_of(page), command, output.strip()))
    return calls


@pytest.mark.parametrize(("page", "command", "output"), shown_calls())
def test_a_page_shows_what_the_program_prints(
    page: str, command: str, output: str, tmp_path: Path
) -> None:
    program, *arguments = command.split()
    assert program == "robench"
    printed = subprocess.run(
        [sys.executable, "-m", "robench", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Which libraries are loaded, and so announced, is not what a page is about.
    shown = re.sub(r"^Loading .* …\n", "", printed.stdout, flags=re.M)
    # A last line of dots stands for what depends on the machine.
    begin, dots, _ = output.partition("\n…")
    assert shown.strip().startswith(begin) if dots else shown.strip() == output


def written_commands() -> list[tuple[str, str]]:
    """Page and words of each ``robench ...`` in the code blocks of a page."""
    found = []
    for page in WRITTEN:
        for block in re.findall(r"^```\w*\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                for part in line.removeprefix("$ ").split(" && "):
                    if part.startswith("robench "):
                        # Behind a lone -- stands another command.
                        calls = part.removeprefix("robench ").split(" -- ")
                        found += [(name_of(page), call) for call in calls]
    return found


def options_of(command: click.Command) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def test_every_written_command_has_options_that_exist() -> None:
    commands = written_commands()
    assert len(commands) > 80
    context = click.Context(main)
    for page, text in commands:
        words = shlex.split(text, comments=True)
        while words and words[0] in options_of(main):
            words = words[1:]
        command = main.get_command(context, words[0]) if words else main
        if isinstance(command, click.Group) and len(words) > 1:
            command = command.get_command(context, words[1]) or command
        assert command is not None, f"{page}: robench {text}"
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= options_of(command) | {"--help"}, f"{page}: robench {text}"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    needed = ("mkdocs", "material", "mkdocstrings", "mkdocs_click")
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f"the extra 'docs' is not installed: no {', '.join(absent)}")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    built = subprocess.run(
        [*command, "--config-file", ROOT / "mkdocs.yml", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for page in ("index", "architecture", "glossary", "reference/cli", "reference/api/search"):
        assert (tmp_path / "site" / f"{page}.html").is_file()
