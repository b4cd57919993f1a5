"""Decide which ``--option`` belongs to which plugin, and how a plugin with options is named."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from robench._base.errors import UsageError
from robench.plugins.names import ON, canonical, members_of, split_on
from robench.plugins.options import Options

KINDS_WITH_OPTIONS = ("defense", "attack")
"""The kinds of plugins that take options."""


@dataclass(frozen=True, slots=True)
class _Target:
    """One chosen plugin.

    Attributes:
        kind: ``"defense"`` or ``"attack"``.
        name: the plugin's name.
        model: its options class.
    """

    kind: str
    name: str
    model: type[Options]

    def answers_to(self, owner: str) -> bool:
        """Whether ``owner``, the part before the dot, means this plugin or one of its members.

        ``pwws`` means ``pwws@wordnet`` as well.
        """
        return owner in (self.kind, self.name, split_on(self.name)[0], *members_of(self.name))

    def is_member(self, owner: str) -> bool:
        """Whether ``owner`` means one member of this joint plugin and not the whole of it."""
        return owner != self.name and owner in members_of(self.name)


def check_owners(given: Iterable[str], defenses: Collection[str], attacks: Collection[str]) -> None:
    """Refuse options that belong to no chosen plugin, without importing a plugin.

    Args:
        given: names of options, such as ``"defense.alpha"``.
        defenses: names of the chosen defenses.
        attacks: names of the chosen attacks.

    Raises:
        UsageError: an option belongs to no chosen plugin, or its name has another form.
    """
    known = set()
    for kind, chosen in zip(KINDS_WITH_OPTIONS, (defenses, attacks), strict=True):
        for name in chosen:
            known |= {kind, name, split_on(name)[0], *members_of(name)}
    for key in given:
        owner, dot, option = key.partition(".")
        if not dot or not option:
            raise UsageError(
                f"Option '{key}' must have the form defense.NAME, attack.NAME or PLUGIN.NAME."
            )
        if canonical(owner) not in known:
            raise UsageError(
                f"Option '{key}': '{canonical(owner)}' is none of the chosen "
                f"{_listed('defenses', defenses)} or {_listed('attacks', attacks)}."
            )


def route_options(
    given: Mapping[str, str],
    defenses: Mapping[str, type[Options]],
    attacks: Mapping[str, type[Options]],
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Assign each given option to the plugins that it belongs to.

    ``defense.`` and ``attack.`` reach every chosen plugin of that kind that has the option. A
    plugin's own name reaches that plugin, alone and as a member of a joint one, and wins over its
    kind. A joint name wins over the names of its members, and ``pwws@wordnet`` over ``pwws``.

    Args:
        given: ``{"defense.alpha": "0.3", "rift.alpha": "0.5", "attack.population": "20"}``.
        defenses: name -> options class of the chosen defenses. Fields called ``member.option``
            are those of a joint defense's members.
        attacks: name -> options class of the chosen attacks.

    Returns:
        Name -> options, for the defenses and for the attacks. Values are still strings, except
        that ``"none"`` is None where the option may be None.

    Raises:
        UsageError: no chosen plugin has the option; several members of one plugin have it; its
            plugin is not chosen; or two equally specific names give one option different values.
    """
    check_owners(given, defenses, attacks)
    targets = [
        _Target(kind, name, model)
        for kind, chosen in zip(KINDS_WITH_OPTIONS, (defenses, attacks), strict=True)
        for name, model in chosen.items()
    ]
    routed: dict[tuple[str, str], dict[str, Any]] = {
        (target.kind, target.name): {} for target in targets
    }
    # (kind, name, field) -> the key that gave the value last.
    givers: dict[tuple[str, str, str], str] = {}
    # General names come first, so that specific ones overwrite them.
    for key in sorted(given, key=_specificity):
        for target, field in _find_fields(key, targets):
            before = givers.get((target.kind, target.name, field), key)
            if given[before] != given[key] and _specificity(before) == _specificity(key):
                raise UsageError(
                    f"--option {before} and {key} are the same option, given as "
                    f"{given[before]!r} and as {given[key]!r}. Give it once."
                )
            givers[target.kind, target.name, field] = key
            value = _none_or_text(given[key], target.model, field)
            routed[target.kind, target.name][field] = value
    return (
        {name: routed["defense", name] for name in defenses},
        {name: routed["attack", name] for name in attacks},
    )


def _specificity(key: str) -> int:
    """Rank an option's name: 0 for a kind, 1 for a plugin, more for a narrower name."""
    owner = key.partition(".")[0]
    return 0 if owner in KINDS_WITH_OPTIONS else len(members_of(owner)) + (ON in owner)


def _find_fields(key: str, targets: Sequence[_Target]) -> list[tuple[_Target, str]]:
    """Find the chosen plugins that have the option ``key``, each with the name of its field."""
    given_owner, _, option = key.partition(".")
    owner = canonical(given_owner)
    addressed = [target for target in targets if target.answers_to(owner)]
    found = []
    for target in addressed:
        field = _find_field(owner, option, target)
        if field is not None:
            found.append((target, field))
    if not found:
        raise UsageError(_unknown_option(key, addressed))
    return found


def _find_field(owner: str, option: str, target: _Target) -> str | None:
    """Return the field of ``target`` that ``owner.option`` means; None where there is none."""
    fields = target.model.model_fields
    if target.is_member(owner):
        return f"{owner}.{option}" if f"{owner}.{option}" in fields else None
    if option in fields:
        return option
    found = [field for field in fields if field.partition(".")[2] == option]
    if len(found) > 1:
        raise UsageError(
            f"Option '{option}' of '{target.name}' could be {' or '.join(found)}. "
            f"Say which: --option {found[0]}=VALUE."
        )
    return found[0] if found else None


def _unknown_option(key: str, addressed: Sequence[_Target]) -> str:
    """Say which options the plugins in ``addressed`` have instead of ``key``."""
    given_owner, _, option = key.partition(".")
    owner = canonical(given_owner)
    owners: list[str] = []
    known: set[str] = set()
    hint = ""
    for target in addressed:
        fields = target.model.model_fields
        if target.is_member(owner):
            owners.append(f"'{owner}' in '{target.name}'")
            prefix = f"{owner}."
            known |= {field.removeprefix(prefix) for field in fields if field.startswith(prefix)}
            if option in fields:
                hint = (
                    f" It is an option of '{target.name}' as a whole: say {target.kind}.{option}."
                )
        else:
            owners.append(f"'{target.name}'")
            known |= {field.removeprefix(f"{owner}.") for field in fields}
    return (
        f"Option '{key}': there is no '{option}' among the options of {' and '.join(owners)}. "
        f"Known: {', '.join(sorted(known)) or 'none'}.{hint}"
    )


def _none_or_text(value: str, model: type[Options], field: str) -> str | None:
    optional = type(None) in get_args(model.model_fields[field].annotation)
    return None if optional and value.lower() in ("none", "null") else value


def _listed(kinds: str, names: Collection[str]) -> str:
    return f"{kinds} ({', '.join(names) or 'none'})"


def label(name: str, options: Options, defaults: Options) -> str:
    """Return the name of a plugin in a table: ``"rift(alpha=0.5)"``.

    The brackets hold the options that differ from their defaults. There are none where all options
    have their defaults.
    """
    chosen, usual = options.model_dump(mode="json"), defaults.model_dump(mode="json")
    changed = [
        f"{option}={value if isinstance(value, str) else json.dumps(value)}"
        for option, value in sorted(chosen.items())
        if value != usual[option]
    ]
    return f"{name}({', '.join(changed)})" if changed else name
