"""``--write-config FILE``: write the options of a call into a file that ``--config`` reads."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from robench._base.bounded_reading import read_bytes
from robench._base.errors import UsageError
from robench._base.escaping import NAME, terminal, toml_text
from robench._base.files import write_text

SETTINGS = "robench.settings"
"""Key of a click context's ``meta``: the options that the call gave (``settings_of``)."""
NOT_WRITTEN = ("dry-run",)
"""Options of a call that are no part of the request."""
PREFIX = "(?:[^@/]+@)?(?:[a-z-]+:)?"
"""What may stand before a path, as a pattern: ``file:``, ``pwws@``, ``pwws@masked-lm:``."""
_PREFIXED = re.compile(rf"^(?P<prefix>{PREFIX})(?P<path>.+)$", re.DOTALL)


def settings_of(ctx: click.Context, folder: Path | None = None) -> dict[str, Any]:
    """Return the options that the command line or a file gave, by their long names.

    Values of environment variables are left out, because they belong to the machine.

    Args:
        ctx: the parsed context.
        folder: the folder that paths become relative to. None leaves them as they are.
    """
    settings: dict[str, Any] = {}
    sources = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
    for parameter in ctx.command.params:
        name, value = str(parameter.name), ctx.params.get(str(parameter.name))
        long = next((each[2:] for each in parameter.opts if each.startswith("--")), "")
        if value is None or not long or long in NOT_WRITTEN:
            continue
        if ctx.get_parameter_source(name) in sources:
            settings[long] = _plain(value, parameter.type, folder)
    if "option" in settings:
        pairs = [pair.partition("=") for pair in settings.pop("option")]
        settings["options"] = {key.strip(): value.strip() for key, _, value in pairs}
    return settings


def _plain(value: Any, kind: click.ParamType[Any], folder: Path | None) -> Any:
    """Return a value as TOML can hold it."""
    if isinstance(value, (tuple, list)):
        return [_plain(each, kind, folder) for each in value]
    if isinstance(value, Path):
        return str(value) if folder is None else _relative(value, folder)
    if isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if folder is None else _relocated(text, folder)


def _relative(path: Path, folder: Path) -> str:
    """Return a relative path as seen from ``folder``; an absolute one as it is."""
    return str(path) if path.is_absolute() else os.path.relpath(path, folder)


def _relocated(text: str, folder: Path) -> str:
    """Return text that names a file of this machine as seen from ``folder``."""
    found = _PREFIXED.match(text)
    if found is None:
        return text
    path = Path(found["path"])
    is_path = path.is_file() or ("/" in found["path"] and path.exists())
    if path.is_absolute() or not is_path:
        return text
    # A leading dot tells a path from a name.
    return f"{found['prefix']}./{os.path.relpath(path, folder)}"


def write_settings(ctx: click.Context, path: Path) -> None:
    """Write the options of a call to ``path``.

    A file with the same text is left alone, so the same command can run again.

    Raises:
        UsageError: there is a file with other text.
        RobenchError: the file cannot be written.
    """
    text = as_toml(settings_of(ctx, path.parent), str(ctx.info_name))
    if path.exists():
        if read_bytes(path) == text.encode():
            return
        raise UsageError(
            f"--write-config: '{path}' exists and holds something else. "
            "Remove it, or name another file."
        )
    write_text(path, text)


def as_toml(settings: Mapping[str, Any], command: str) -> str:
    """Return the text of a configuration file."""
    lines = [f"# robench {command} --config THIS_FILE", ""]
    tables = {name: value for name, value in settings.items() if isinstance(value, dict)}
    lines += [f"{name} = {_toml(settings[name])}" for name in settings if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{_dotted(key)} = {_toml(_number(value))}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (int, float)):
        return repr(value)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(
            f"--write-config: {terminal(value, NAME)} is no text in UTF-8, which TOML needs. "
            "Rename the file."
        )
    # A JSON string is a TOML string, but for some characters that cannot be seen.
    return toml_text(json.dumps(value, ensure_ascii=False))


def _number(text: str) -> Any:
    """Return the text of an option as a number where the number is written like this."""
    for kind in (int, float):
        try:
            if str(kind(text)) == text and text not in ("nan", "inf", "-inf"):
                return kind(text)
        except ValueError:
            continue
    return text


def _dotted(key: str) -> str:
    """Return the name of a plugin option as a dotted key of TOML."""
    owner, _, name = key.partition(".")
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else _toml(part)
        for part in (owner, *name.split("."))
    )
