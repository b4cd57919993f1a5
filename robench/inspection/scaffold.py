"""The starting file of a plugin and its test: what ``robench new`` writes.

The texts lie in ``robench/embedded/scaffold/``; ``$name``, ``$stem``, ``$cls``, ``$binding``, ``$wing`` and ``$kind`` in them are filled in. Outside
robench's own checkout they come as a small package that ``pip install -e`` makes known; inside it, as one file in its wing.
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
from robench.inspection.catalogue import REGISTRIES

WINGS = {"attack": "attacks", "defense": "defenses"}
ARTICLES = {"attack": "an attack", "defense": "a defense"}
RESERVED = frozenset({"all", *WINGS})
"""What the command line reads as something else: ``--attack all`` and ``--option attack.population=20``."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_plugin(kind: str, name: str, folder: Path) -> list[Path]:
    """Write the files of a new plugin and return their paths.

    Args:
        kind: ``"attack"`` or ``"defense"``.
        name: what the command line will call it.
        folder: robench's checkout, or where the package's folder ``<name>/`` is to stand.

    Raises:
        UsageError: an unusable name or a file that exists; then nothing is written.
    """
    _check_kind(kind)
    inside = _is_checkout(folder)
    _check_name(kind, name, inside)
    words = {
        "name": name,
        "stem": name.replace("-", "_"),
        "cls": "".join(part.capitalize() for part in name.split("-")),
        "wing": WINGS[kind],
        "kind": kind,
    }
    texts = _texts(kind, words, folder, inside)
    for path in texts:
        if path.exists():
            raise UsageError(
                f"{path} exists already and nothing is overwritten. Choose another name, or another folder with --out."
            )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return list(texts)


def _texts(kind: str, words: dict[str, str], folder: Path, inside: bool) -> dict[Path, str]:
    stem = words["stem"]
    if inside:
        words |= {
            "binding": f'\n{words["cls"]} = {words["wing"].upper()}.get("{words["name"]}")\n'
        }  # tests reach plugins through the registry only
        plugin, test = (
            folder / words["wing"] / f"{stem}.py",
            folder / "tests" / "unit" / f"test_{stem}.py",
        )
    else:
        words |= {"binding": f"\nfrom {stem} import {words['cls']}\n"}
        plugin, test = (
            folder / words["name"] / f"{stem}.py",
            folder / words["name"] / f"test_{stem}.py",
        )
    texts = {plugin: _filled(kind, words), test: _filled(f"{kind}_test", words)}
    if not inside:
        texts[folder / words["name"] / "pyproject.toml"] = _filled("pyproject", words)
    return texts


def _filled(template: str, words: dict[str, str]) -> str:
    return Template(
        (files("robench.embedded") / "scaffold" / f"{template}.txt").read_text("utf-8")
    ).substitute(words)


def _check_kind(kind: str) -> None:
    if kind not in WINGS:
        raise UsageError(
            f"'robench new' makes an attack or a defense, not '{kind}'.{did_you_mean(kind, WINGS, closeness=0.7)}"
        )


def _check_name(kind: str, name: str, inside: bool) -> None:
    if NAME.fullmatch(name) is None or keyword.iskeyword(name):
        raise UsageError(
            f"'{name}' cannot be a plugin's name: use lower-case letters and digits, words joined by '-', a letter first, such as my-method."
        )
    if name in RESERVED:
        raise UsageError(
            f"'{name}' cannot be a plugin's name: the command line gives it another meaning. Choose another name, such as my-{name}."
        )
    if name in REGISTRIES[kind].names():
        raise UsageError(
            f"There is already {ARTICLES[kind]} '{name}' (see 'robench show {kind} {name}'). Choose another name."
        )
    stem = name.replace("-", "_")
    if not inside and find_spec(stem) is not None:
        raise UsageError(
            f"A Python module '{stem}' is installed already, and the plugin would hide it. Choose another name, such as my-{name}."
        )


def _is_checkout(folder: Path) -> bool:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, ValueError):
        return False
    return bool(project.get("name") == "robench")
