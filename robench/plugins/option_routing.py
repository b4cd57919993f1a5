"""Which ``--option`` belongs to which plugin, and what a plugin with options is called."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, get_args

from robench._base.errors import UsageError
from robench.plugins.options import Options
from robench.plugins.registry import canonical, members_of


def check_owners(given: Iterable[str], defenses: Collection[str], attacks: Collection[str]) -> None:
    """Refuse an option that is of no chosen plugin, by the names alone: no plugin need be imported.

    Args:
        given: names of options, ``"defense.alpha"``.

    Raises:
        UsageError: see above, or a name of another form.
    """
    known = {
        owner
        for kind, chosen in (("defense", defenses), ("attack", attacks))
        for name in chosen
        for owner in (kind, name, *members_of(name))
    }
    for key in given:
        owner, dot, option = key.partition(".")
        if not dot or not option:
            raise UsageError(
                f"Option '{key}' must have the form defense.NAME, attack.NAME or PLUGIN.NAME."
            )
        if canonical(owner) not in known:
            raise UsageError(
                f"Option '{key}': '{canonical(owner)}' is none of the chosen {_chosen('defenses', defenses)} or {_chosen('attacks', attacks)}."
            )


def options_of(
    given: Mapping[str, str],
    defenses: Mapping[str, type[Options]],
    attacks: Mapping[str, type[Options]],
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Share out ``{"defense.alpha": "0.3", "rift.alpha": "0.5", "attack.population": "20"}``.

    ``defense.`` and ``attack.`` reach every chosen plugin of that kind that has the option. A plugin's own name reaches that plugin, alone and as a
    member of a joint one, and wins over its kind; a joint name wins over its members.

    Args:
        defenses, attacks: name -> options class of the chosen plugins. Fields called ``member.option`` are those of a joint plugin's members.

    Returns:
        Name -> options, for the defenses and for the attacks; values are still strings (``"none"`` became None where None is allowed).

    Raises:
        UsageError: an option that no chosen plugin has or that several members of one have, a name that was not chosen, or two spellings of one
            option that count the same and differ in value.
    """
    check_owners(given, defenses, attacks)
    kinds = (("defense", defenses), ("attack", attacks))
    shares: dict[str, dict[str, dict[str, Any]]] = {
        kind: {name: {} for name in chosen} for kind, chosen in kinds
    }
    said: dict[tuple[str, str, str], str] = {}
    # General ones first, so that the specific ones stand over them.
    for key, value in sorted(
        given.items(), key=lambda item: _rank(item[0].partition(".")[0], shares)
    ):
        given_owner, _, option = key.partition(".")
        owner = canonical(given_owner)
        wanted = [
            (kind, name, cls)
            for kind, chosen in kinds
            for name, cls in chosen.items()
            if owner in (kind, name, *members_of(name))
        ]
        having = [(kind, name, cls, _field(owner, option, name, cls)) for kind, name, cls in wanted]
        if not any(field for *_, field in having):
            raise UsageError(_unknown(key, option, wanted))
        for kind, name, cls, field in having:
            if field is not None:
                before = said.get((kind, name, field), key)
                if given[before] != value and _rank(before.partition(".")[0], shares) == _rank(
                    owner, shares
                ):
                    raise UsageError(
                        f"--option {before} and {key} are the same option, given as {given[before]!r} and as {value!r}. Give it once."
                    )
                said[kind, name, field] = key
                shares[kind][name][field] = _plain(value, cls, field)
    return shares["defense"], shares["attack"]


def _rank(owner: str, kinds: Collection[str]) -> int:
    """A kind comes first, then a plugin, then a joint one."""
    return 0 if owner in kinds else len(members_of(owner))


def _field(owner: str, option: str, name: str, cls: type[Options]) -> str | None:
    """The field of the plugin ``name`` that ``owner.option`` means; None where it has none."""
    if owner != name and owner in members_of(name):
        return f"{owner}.{option}" if f"{owner}.{option}" in cls.model_fields else None
    if option in cls.model_fields:
        return option
    found = [field for field in cls.model_fields if field.partition(".")[2] == option]
    if len(found) > 1:
        raise UsageError(
            f"Option '{option}' of '{name}' could be {' or '.join(found)}. Say which: --option {found[0]}=VALUE."
        )
    return found[0] if found else None


def _unknown(key: str, option: str, wanted: Sequence[tuple[str, str, type[Options]]]) -> str:
    owner = canonical(key.partition(".")[0])
    whose, known, whole = [], set(), ""
    for kind, name, cls in wanted:
        member = owner != name and owner in members_of(name)
        whose.append(f"'{owner}' in '{name}'" if member else f"'{name}'")
        known |= {
            field.removeprefix(f"{owner}.")
            for field in cls.model_fields
            if not member or field.startswith(f"{owner}.")
        }
        if member and option in cls.model_fields:
            whole = f" It is one of the whole: say {kind}.{option}."
    return f"Option '{key}': there is no '{option}' among the options of {' and '.join(whose)}. Known: {', '.join(sorted(known)) or 'none'}.{whole}"


def _plain(value: str, cls: type[Options], option: str) -> Any:
    optional = type(None) in get_args(cls.model_fields[option].annotation)
    return None if optional and value.lower() in ("none", "null") else value


def _chosen(kind: str, names: Collection[str]) -> str:
    return f"{kind} ({', '.join(names) or 'none'})"


def label(name: str, options: Options, defaults: Options) -> str:
    """What a table calls a plugin: its name, and in brackets the options that are not its defaults: ``"rift(alpha=0.5)"``."""
    chosen, usual = options.model_dump(mode="json"), defaults.model_dump(mode="json")
    changed: Sequence[str] = [
        f"{key}={_text(value)}" for key, value in sorted(chosen.items()) if value != usual[key]
    ]
    return f"{name}({', '.join(changed)})" if changed else name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
