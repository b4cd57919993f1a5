"""What `mkdocs build` cannot find in docs/ by itself; mkdocs.yml names this file as a hook.

It generates one API page for every room of robench, so that no list of modules is kept by hand. It
also takes Markdown from other folders into the site (boards, benchmarks, the changelog), and points
the links between all these pages at the right place.
"""

from __future__ import annotations

import ast
import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from robench.cli import main

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "build" / "docs-source"
API = "reference/api"

# Plugins come last: they build on every other room. Data and the entry point have no API.
PLUGIN_ROOMS = ("attacks", "defenses")
WITHOUT_API = ("embedded", "__pycache__")

# Pages that live outside docs/, under the name that they have in the site.
BORROWED = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "benchmarks/README.md": "benchmarks.md",
    **{
        f"leaderboards/{path.name}": f"leaderboards/{path.name}"
        for path in sorted((ROOT / "leaderboards").glob("*.md"))
    },
}

# What a link into the repository leads to, where that is not the page of the same name.
INSTEAD = {"README.md": "index.md", "docs/studies": "studies/every-defense-on-mini-reviews.md"}

# mkdocs-click's cells for options without a default, and what they should say.
CLI_DEFAULTS = {"_required": "required", "None": "", "<code>Sentinel.UNSET</code>": ""}

LINK = re.compile(r"(?P<text>\[(?:[^\[\]]|\[[^\[\]]*\])*\])\((?P<target>[^()\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


# ------------------------------------------------------------------------------- hooks of MkDocs


# Before the plugins: mkdocstrings looks for its folder as soon as it is configured.
@event_priority(100)
def on_config(config: MkDocsConfig) -> None:
    """Make the folder that mkdocstrings reads, prepare the commands, complete the navigation."""
    gather_sources()
    prepare_command(main)
    sections = {name: pages for entry in config.nav or [] for name, pages in entry.items()}
    sections["Reference"].append({"API": [*api_navigation()]})
    sections["Results"].extend([{"Boards": [*board_navigation()]}, {"Benchmarks": "benchmarks.md"}])
    config.nav = [
        *(config.nav or []),
        {
            "Project": [
                {"Contributing": "project/contributing.md"},
                {"Security": "project/security.md"},
                {"Changelog": "project/changelog.md"},
            ]
        },
    ]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated and the borrowed pages."""
    for room in rooms():
        files.append(File.generated(config, f"{API}/{room}.md", content=api_page(room)))
    files.append(File.generated(config, f"{API}/index.md", content=public_page()))
    for origin, name in BORROWED.items():
        text = (ROOT / origin).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at pages of the site; a link to a file that is no page becomes plain text."""
    name = page.file.src_uri
    origins = {site: origin for origin, site in BORROWED.items()}
    origin = origins.get(name, f"docs/{name}")
    if name.startswith(API):
        return markdown
    pieces, end = [], 0
    for block in CODE_BLOCK.finditer(markdown):
        pieces.append(relinked(markdown[end : block.start()], origin, name))
        pieces.append(block.group())
        end = block.end()
    pieces.append(relinked(markdown[end:], origin, name))
    return "".join(pieces)


# ------------------------------------------------------------------------------ command line


def prepare_command(command: click.Command) -> None:
    """Make a command and those below it fit for mkdocs-click, which copies texts as they are.

    Click marks a paragraph that it must not wrap with a line of ``\\b``: such a paragraph becomes a
    Markdown code block. An option without a default has a marker there, which nobody should read.
    """
    if command.help:
        paragraphs = command.help.split("\n\n")
        command.help = "\n\n".join(as_code(paragraph) for paragraph in paragraphs)
    for option in command.params:
        if not isinstance(option.default, str | int | float | tuple):
            option.default = None
    if isinstance(command, click.Group):
        for child in command.commands.values():
            prepare_command(child)


def as_code(paragraph: str) -> str:
    """Return a paragraph that begins with ``\\b`` as a Markdown code block, any other unchanged."""
    marker, _, rest = paragraph.strip().partition("\n")
    if marker.strip() != "\b":
        return paragraph
    lines = [line.strip() for line in rest.splitlines()]
    return "\n".join(["```text", *lines, "```"])


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write what mkdocs-click says of missing defaults in plain words."""
    if page.file.src_uri != "reference/cli.md":
        return html
    for shown, meant in CLI_DEFAULTS.items():
        html = html.replace(f"<td>{shown}</td>", f"<td>{meant}</td>")
    return html


# ------------------------------------------------------------------------------------- links


def relinked(text: str, origin: str, name: str) -> str:
    """Return ``text`` with links between files of the repository turned into links of the site.

    Args:
        text: Markdown without code blocks.
        origin: where the text is in the repository, such as ``leaderboards/README.md``.
        name: where its page is in the site, such as ``leaderboards/README.md``.
    """

    def replace(match: re.Match[str]) -> str:
        target, _, anchor = match["target"].partition("#")
        if not target or ":" in target:
            return match.group()
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        place = {**BORROWED, **INSTEAD}.get(wanted)
        if place is None and wanted.startswith("docs/"):
            place = wanted.removeprefix("docs/")
        if place is not None:
            path = posixpath.relpath(place, posixpath.dirname(name) or ".")
            return f"{match['text']}({path}{'#' + anchor if anchor else ''})"
        # The file exists and is no page: its name is all that the site can give. A link to nothing
        # is left as it is, so that the strict build reports it.
        return match["text"][1:-1] if (ROOT / wanted).exists() else match.group()

    return LINK.sub(replace, text)


# --------------------------------------------------------------------------------- API pages


def gather_sources() -> None:
    """Make ``build/docs-source/robench``: the package as an installed wheel has it.

    In a checkout, attacks/ and defenses/ lie beside robench/. mkdocstrings reads source files
    without importing them, so it needs a folder in which they lie inside. It does not follow links
    to folders.
    """
    shutil.rmtree(SOURCES, ignore_errors=True)
    only_code = shutil.ignore_patterns(*WITHOUT_API)
    shutil.copytree(ROOT / "robench", SOURCES / "robench", ignore=only_code)
    for room in PLUGIN_ROOMS:
        shutil.copytree(ROOT / room, SOURCES / "robench" / room, ignore=only_code)


def rooms() -> list[str]:
    """Return the names of all packages directly inside robench, plugins last."""
    inside = sorted(
        path.parent.name
        for path in (ROOT / "robench").glob("*/__init__.py")
        if path.parent.name not in WITHOUT_API
    )
    return [*inside, *PLUGIN_ROOMS]


def folder_of(room: str) -> Path:
    """Return the folder in which a room's modules lie."""
    return ROOT / room if room in PLUGIN_ROOMS else ROOT / "robench" / room


def modules_of(room: str) -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the file of each module of a room, in alphabetical order."""
    folder = folder_of(room)
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] != "__init__":
            yield ".".join(("robench", room, *parts)), path


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def cell(text: str) -> str:
    """Return ``text`` fit for a cell of a Markdown table."""
    return text.replace("|", "\\|")


def api_page(room: str) -> str:
    """Return the page of one room: what it is for, its modules, and everything public in them."""
    modules = list(modules_of(room))
    lines = [f"# robench.{room}", "", first_line(folder_of(room) / "__init__.py"), ""]
    lines += ["| module | what it holds |", "|---|---|"]
    lines += [
        f"| [`{name.removeprefix(f'robench.{room}.')}`][{name}] | {cell(first_line(path))} |"
        for name, path in modules
    ]
    for name, _ in modules:
        lines += ["", f"::: {name}"]
    return "\n".join(lines) + "\n"


def public_page() -> str:
    """Return the page of what plugins may import, each name linked to its description."""
    lines = [
        "# Public API",
        "",
        "A plugin imports from `robench`, `robench.methods` and `robench.testing`. The other",
        "packages are described for readers of the code, and may change from version to version.",
    ]
    for package in ("robench", "robench.methods", "robench.testing"):
        lines += ["", f"## {package}", "", "| name | what it is |", "|---|---|"]
        for name, module in public_names(package).items():
            summary = cell(summary_of(module, name))
            lines.append(f"| [`{name}`][{module}] | {summary} |")
    lines += ["", "## Packages", "", "| package | what it holds |", "|---|---|"]
    for room in rooms():
        summary = first_line(folder_of(room) / "__init__.py")
        lines.append(f"| [`robench.{room}`]({room}.md) | {cell(summary)} |")
    lines += ["", "## Modules at the top", "", "::: robench.protocol"]
    return "\n".join(lines) + "\n"


def public_names(package: str) -> dict[str, str]:
    """Return each name of a package's ``__all__`` with the module that defines it.

    The public packages import their names on first use, so each has a dictionary with the module of
    each name. Some of these modules are named in short, relative to the package.
    """
    path = ROOT.joinpath(*package.split("."), "__init__.py")
    names: list[str] = []
    modules: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        if isinstance(node.value, ast.List) and "__all__" in ast.unparse(node):
            names = ast.literal_eval(node.value)
        elif isinstance(node.value, ast.Dict):
            modules |= ast.literal_eval(node.value)
    return {
        name: modules[name] if "." in modules[name] else f"{package}.{modules[name]}"
        for name in names
        if name in modules
    }


def summary_of(module: str, name: str) -> str:
    """Return the first line of what is written about ``name`` in ``module``."""
    path = (ROOT / Path(*module.split("."))).with_suffix(".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for place, node in enumerate(body):
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return summary_of(node.module or module, name)
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            following = body[place + 1] if place + 1 < len(body) else None
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return str(following.value.value).partition("\n")[0]
            return f"`{ast.unparse(node.annotation)}`" if isinstance(node, ast.AnnAssign) else ""
    return ""


# -------------------------------------------------------------------------------- navigation


def api_navigation() -> Iterator[dict[str, str]]:
    """Yield the entries of the API section."""
    yield {"Public API": f"{API}/index.md"}
    for room in rooms():
        yield {f"robench.{room}": f"{API}/{room}.md"}


def board_navigation() -> Iterator[dict[str, str]]:
    """Yield the entries of the boards, the explanation first."""
    yield {"About boards": "leaderboards/README.md"}
    for name in BORROWED.values():
        if name.startswith("leaderboards/") and not name.endswith("README.md"):
            yield {Path(name).stem: name}
