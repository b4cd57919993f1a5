"""``--config FILE``: the options of a command from a TOML file, with flags on top.

The names come from the command's own parameters, so a new option can be in a file at once. click's
``default_map`` carries the values, so they are checked like those of the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from robench._base.bounded_reading import BY_HAND, Unreadable, parse_toml, read_text
from robench._base.errors import UsageError, one_line
from robench._base.hints import did_you_mean
from robench.commands.config_writing import PREFIX, SETTINGS, settings_of, write_settings
from robench.commands.saying import tell

PLUGIN_OPTION = "option"
"""The option KIND.NAME=VALUE. In a file it is a table as well."""
TABLE = "options"
"""Name of that table in a file."""
NOT_IN_A_FILE = ("config", "write-config", "help")
"""Options that a file cannot set."""
_RELATIVE = re.compile(rf"^(?P<prefix>{PREFIX})(?P<path>\.{{1,2}}/.*|~/.*|\.{{1,2}})$")


class ConfiguredCommand(click.Command):
    """A command that takes ``--config`` and ``--write-config``."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        place = click.Path(dir_okay=False, path_type=Path)
        self.params += [
            click.Option(
                ["--config"],
                type=place,
                metavar="FILE",
                expose_value=False,
                help="Read options from a TOML file, by their long names. Flags win over it.",
            ),
            click.Option(
                ["--write-config"],
                type=place,
                metavar="FILE",
                expose_value=False,
                help="Also write the given options into such a file.",
            ),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, on top of the file that it names."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if not args:
            ctx.fail(f"Say what to {self.name}, such as: {self._example()}.")
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        from_file: dict[str, Any] = {}
        help_option = self.get_help_option(ctx)
        wants_help = help_option is not None and bool(given.get(str(help_option.name)))
        if "config" in given and not wants_help:
            file = _ConfigFile(Path(given["config"]), self, ctx)
            from_file = file.values()
            ctx.default_map = from_file
            # click prefers an environment variable, but the file is part of this call.
            args = [*_over_environment(self, from_file), *args]
        rest = super().parse_args(ctx, args)
        _merge_plugin_options(self, ctx, from_file)
        ctx.meta[SETTINGS] = settings_of(ctx)
        if given.get("write_config"):
            write_settings(ctx, Path(given["write_config"]))
        return rest

    def _example(self) -> str:
        """Return the first call that the help page shows."""
        lines = (line.strip() for line in (self.help or "").splitlines())
        return next((line for line in lines if line.startswith("robench ")), f"robench {self.name}")


def long_name(parameter: click.Parameter) -> str:
    """Return the long name of an option without its dashes; empty for an argument."""
    names = [name[2:] for name in parameter.opts if name.startswith("--")]
    return names[0] if names else ""


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return long name -> option, for the options that a file can set."""
    named = {long_name(each): each for each in command.params if isinstance(each, click.Option)}
    return {name: option for name, option in named.items() if name not in NOT_IN_A_FILE}


def _over_environment(command: click.Command, values: Mapping[str, Any]) -> list[str]:
    """Return arguments for the values of the file whose options have an environment variable."""
    arguments = []
    for name, option in options_of(command).items():
        if option.envvar is not None and isinstance(values.get(str(option.name)), str):
            arguments += [f"--{name}", values[str(option.name)]]
    return arguments


def _merge_plugin_options(
    command: click.Command, ctx: click.Context, from_file: Mapping[str, Any]
) -> None:
    """Add the plugin options of the file that no flag replaces."""
    option = options_of(command).get(PLUGIN_OPTION)
    if option is None or option.name not in from_file:
        return
    if ctx.get_parameter_source(str(option.name)) != ParameterSource.COMMANDLINE:
        return
    flags = ctx.params[str(option.name)]
    replaced = {_key(pair) for pair in flags}
    kept = [pair for pair in from_file[option.name] if _key(pair) not in replaced]
    ctx.params[str(option.name)] = (*kept, *flags)


def _key(pair: str) -> str:
    return pair.partition("=")[0].strip()


class _ConfigFile:
    """A TOML file with options of a command."""

    def __init__(self, path: Path, command: click.Command, ctx: click.Context) -> None:
        self._path, self._command, self._ctx = path, command, ctx
        self._options = options_of(command)
        try:
            self._text = read_text(path, BY_HAND)
            self._data = parse_toml(self._text, path)
        except Unreadable as error:
            raise UsageError(f"--config '{path}' cannot be read: {error.reason}.") from error

    def values(self) -> dict[str, Any]:
        """Return name of the parameter -> its value, as click's ``default_map`` takes it.

        Raises:
            UsageError: a key is unknown, or its value does not fit.
        """
        values: dict[str, Any] = {}
        unused = []
        for key, value in self._data.items():
            name = key.replace("_", "-")
            if name == TABLE and TABLE not in self._options and isinstance(value, dict):
                name = PLUGIN_OPTION
            option = self._options.get(name)
            if option is None:
                if name not in self._of_other_commands():
                    raise self._unknown(key, name)
                unused.append(key)
                continue
            converted = self._value(key, name, option, value)
            if option.name in values:
                if name != PLUGIN_OPTION:
                    raise self._fault(key, "is given twice.")
                converted = (*values[option.name], *converted)
            values[str(option.name)] = converted
        self._tell_unused(unused)
        return values

    def _of_other_commands(self) -> set[str]:
        """Return the options of other commands that take a file: one file may serve several."""
        group = self._ctx.parent.command if self._ctx.parent is not None else None
        commands = group.commands.values() if isinstance(group, click.Group) else ()
        names = [options_of(each) for each in commands if isinstance(each, ConfiguredCommand)]
        return {name for options in names for name in options}

    def _tell_unused(self, keys: Sequence[str]) -> None:
        if keys:
            listed = ", ".join(f"'{key}'" for key in keys)
            tell(
                f"'{self._path}': {listed} not used, as '{self._command.name}' has no such option."
            )

    def _value(self, key: str, name: str, option: click.Option, value: Any) -> Any:
        if name == PLUGIN_OPTION and isinstance(value, dict):
            return tuple(self._pairs(key, value))
        if option.is_flag:
            if not isinstance(value, bool):
                raise self._fault(key, f"takes true or false, not {_shown(value)}.")
            return value
        if option.multiple:
            parts = value if isinstance(value, list) else [value]
            return tuple(self._text_of(key, option, part) for part in parts)
        if isinstance(value, list):
            raise self._fault(key, "takes one value, not a list.")
        return self._text_of(key, option, value)

    def _text_of(self, key: str, option: click.Option, value: Any) -> str:
        """Return one value as the command line would give it, after click's own check."""
        kind = option.type
        numeric = isinstance(kind, (type(click.INT), type(click.FLOAT)))
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self._fault(key, f"takes {_wanted(kind)}, not {_shown(value)}.")
        if not isinstance(value, str) and not numeric:
            raise self._fault(key, f'takes text, not {value}. Write it in quotes: "{value}".')
        text = self._placed(str(value), kind)
        try:
            kind.convert(text, option, self._ctx)
        except click.BadParameter as error:
            sentence = one_line(error.message).rstrip(".")
            sentence = sentence.replace("is not a valid integer range", "is not a whole number")
            raise self._fault(key, f"{sentence}.", separator=": ") from error
        return text

    def _placed(self, text: str, kind: click.ParamType[Any]) -> str:
        """Return a path of the file relative to the folder of the file; other text as it is."""
        folder = self._path.parent
        if isinstance(kind, click.Path):
            return str(folder / Path(text).expanduser()) if text else text
        found = _RELATIVE.match(text)
        if found is None:
            return text
        return f"{found['prefix']}{folder / Path(found['path']).expanduser()}"

    def _pairs(self, key: str, table: Mapping[str, Any], owner: str = "") -> Iterator[str]:
        """Yield the plugin options of a table as ``defense.alpha=0.3``."""
        for name, value in table.items():
            dotted = f"{owner}.{name}" if owner else name
            if isinstance(value, dict):
                yield from self._pairs(key, value, dotted)
            elif isinstance(value, list) and self._command.name != "sweep":
                raise self._fault(
                    name, "takes one value; several values are for 'robench sweep'.", dotted
                )
            else:
                parts = value if isinstance(value, list) else [value]
                yield f"{dotted}={','.join(self._plain(name, dotted, part) for part in parts)}"

    def _plain(self, name: str, dotted: str, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)):
            return str(value)
        raise self._fault(name, f"takes a number or text, not {_shown(value)}.", dotted)

    def _unknown(self, key: str, name: str) -> UsageError:
        near = did_you_mean(name, [*self._options, TABLE])
        return self._fault(key, f"is no option of 'robench {self._command.name}'.{near}")

    def _fault(
        self, key: str, what: str, shown: str | None = None, separator: str = " "
    ) -> UsageError:
        """Return the error about a key, with the file and the line."""
        return UsageError(f"{self._path}{self._line(key)}: '{shown or key}'{separator}{what}")

    def _line(self, key: str) -> str:
        """Return ``", line 3"`` where the key is found; tomllib does not keep the lines."""
        quoted = re.escape(key)
        pattern = rf"""^\s*(\[+\s*)?([\w.+:-]+\.)?["']?{quoted}["']?\s*[=.\]]"""
        for number, line in enumerate(self._text.splitlines(), start=1):
            if re.match(pattern, line):
                return f", line {number}"
        return ""


def _wanted(kind: click.ParamType[Any]) -> str:
    return "a number" if isinstance(kind, (type(click.INT), type(click.FLOAT))) else "text"


def _shown(value: Any) -> str:
    """Return a value of a file in TOML's words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return repr(value) if isinstance(value, (str, int, float)) else f"the date {value}"
