"""The first files of a new plugin, which ``robench new`` writes.

The templates are in ``robench/embedded/scaffold/``. ``$name``, ``$stem``, ``$cls``, ``$binding``,
``$folder`` and ``$kind`` in them are filled in.

Outside robench's checkout the files form a small package that ``pip install -e`` makes known to
robench. Inside the checkout they are one file in ``attacks/``, ``defenses/`` or ``robench/tasks/``
and its test.
"""

from __future__ import annotations

import keyword
import re
import tomllib
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.inspection.catalogue import REGISTRY_OF_KIND

FOLDERS = {"attack": "attacks", "defense": "defenses", "task": "tasks"}
"""Kind -> the last part of its entry-point group, and the folder of its tests in a checkout."""
BUILT_INS = {"attack": "attacks", "defense": "defenses", "task": "robench/tasks"}
"""Kind -> the folder of its built-ins in a checkout."""
ARTICLES = {"attack": "an attack", "defense": "a defense", "task": "a task"}
RESERVED = frozenset({"all", *FOLDERS})
"""Names with another meaning: ``--attack all`` and ``--option attack.population=20``."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_plugin(kind: str, name: str, folder: Path) -> list[Path]:
    """Write the files of a new plugin and return their paths.

    Args:
        kind: ``"attack"``, ``"defense"`` or ``"task"``.
        name: the plugin's name on the command line.
        folder: robench's checkout, or the folder for the package's own folder ``<name>/``.

    Raises:
        UsageError: the name cannot be used, or a file exists already. Then nothing is written.
    """
    _check_kind(kind)
    inside = _is_checkout(folder)
    _check_name(kind, name, inside)
    words = {
        "name": name,
        "stem": name.replace("-", "_"),
        "cls": "".join(part.capitalize() for part in name.split("-")),
        "folder": FOLDERS[kind],
        "kind": kind,
    }
    texts = _checkout_files(words, folder) if inside else _package_files(words, folder)
    for path in texts:
        if path.exists():
            raise UsageError(
                f"{path} exists already and nothing is overwritten. "
                "Choose another name, or another folder with --out."
            )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return list(texts)


def _checkout_files(words: dict[str, str], checkout: Path) -> dict[Path, str]:
    """Return path -> text of the files inside robench's checkout."""
    folder, stem = words["folder"], words["stem"]
    # Tests inside the checkout get plugins from the registry and do not import them.
    binding = f'\n{words["cls"]} = {folder.upper()}.get("{words["name"]}")\n'
    return {
        checkout / BUILT_INS[words["kind"]] / f"{stem}.py": _fill(words["kind"], words, binding),
        checkout / "tests" / "unit" / folder / f"test_{stem}.py": _fill(
            f"{words['kind']}_test", words, binding
        ),
    }


def _package_files(words: dict[str, str], parent: Path) -> dict[Path, str]:
    """Return path -> text of the files of a package of its own."""
    folder, stem = parent / words["name"], words["stem"]
    binding = f"\nfrom {stem} import {words['cls']}\n"
    return {
        folder / f"{stem}.py": _fill(words["kind"], words, binding),
        folder / f"test_{stem}.py": _fill(f"{words['kind']}_test", words, binding),
        folder / "pyproject.toml": _fill("pyproject", words, binding),
    }


def _fill(template: str, words: dict[str, str], binding: str) -> str:
    """Fill in a template; ``binding`` is the line by which a test gets the plugin's class."""
    file = files("robench.embedded") / "scaffold" / f"{template}.txt"
    return Template(file.read_text("utf-8")).substitute(words, binding=binding)


def _check_kind(kind: str) -> None:
    if kind not in FOLDERS:
        hint = did_you_mean(kind, FOLDERS, closeness=0.7)
        raise UsageError(f"'robench new' makes an attack, a defense or a task, not '{kind}'.{hint}")


def _check_name(kind: str, name: str, inside: bool) -> None:
    if keyword.iskeyword(name):
        raise UsageError(
            f"'{name}' cannot be a plugin's name: it is a keyword of Python. "
            f"Choose another name, such as my-{name}."
        )
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"'{name}' cannot be a plugin's name: use lower-case letters and digits, "
            "words joined by '-', a letter first, such as my-method."
        )
    if name in RESERVED:
        raise UsageError(
            f"'{name}' cannot be a plugin's name: the command line gives it another meaning. "
            f"Choose another name, such as my-{name}."
        )
    if name in REGISTRY_OF_KIND[kind].names():
        raise UsageError(
            f"There is already {ARTICLES[kind]} '{name}' (see 'robench show {kind} {name}'). "
            "Choose another name."
        )
    stem = name.replace("-", "_")
    if not inside and find_spec(stem) is not None:
        raise UsageError(
            f"A Python module '{stem}' is installed already, and the plugin would hide it. "
            f"Choose another name, such as my-{name}."
        )


def _is_checkout(folder: Path) -> bool:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, ValueError):
        return False
    return bool(project.get("name") == "robench")
