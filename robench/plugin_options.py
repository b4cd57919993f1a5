"""Which ``--option`` belongs to which plugin, and what a plugin with options is called."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from robench.errors import UsageError
from robench.options import Options


def options_of(
    given: Mapping[str, str], defenses: Mapping[str, type[Options]], attacks: Mapping[str, type[Options]]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Share out ``{"defense.alpha": "0.3", "rift.alpha": "0.5", "attack.population": "20"}``.

    ``defense.`` and ``attack.`` reach every chosen plugin of that kind that has the option, a plugin's own name reaches that plugin and wins.

    Args:
        defenses, attacks: name -> options class of the chosen plugins.

    Returns:
        Name -> options, for the defenses and for the attacks; values are still strings (``"none"`` became None where None is allowed).

    Raises:
        UsageError: an option that no chosen plugin has, or a name that was not chosen.
    """
    kinds = (("defense", defenses), ("attack", attacks))
    shares: dict[str, dict[str, dict[str, Any]]] = {kind: {name: {} for name in chosen} for kind, chosen in kinds}
    # General ones first, so that the specific ones stand over them.
    for key, value in sorted(given.items(), key=lambda item: item[0].partition(".")[0] not in shares):
        owner, dot, option = key.partition(".")
        if not dot or not option:
            raise UsageError(f"Option '{key}' must have the form defense.NAME, attack.NAME or PLUGIN.NAME.")
        wanted = [(kind, name, cls) for kind, chosen in kinds for name, cls in chosen.items() if owner in (kind, name)]
        if not wanted:
            raise UsageError(f"Option '{key}': '{owner}' is none of the chosen {_chosen('defenses', defenses)} or {_chosen('attacks', attacks)}.")
        having = [(kind, name, cls) for kind, name, cls in wanted if option in cls.model_fields]
        if not having:
            known = sorted({field for _, _, cls in wanted for field in cls.model_fields})
            raise UsageError(
                f"Option '{key}': there is no '{option}' among the options of {_names(name for _, name, _ in wanted)}. Known: {', '.join(known) or 'none'}."
            )
        for kind, name, cls in having:
            shares[kind][name][option] = _plain(value, cls, option)
    return shares["defense"], shares["attack"]


def _plain(value: str, cls: type[Options], option: str) -> Any:
    optional = type(None) in get_args(cls.model_fields[option].annotation)
    return None if optional and value.lower() in ("none", "null") else value


def _chosen(kind: str, names: Collection[str]) -> str:
    return f"{kind} ({', '.join(names) or 'none'})"


def _names(names: Any) -> str:
    return " and ".join(f"'{name}'" for name in dict.fromkeys(names))


def label(name: str, options: Options, defaults: Options) -> str:
    """What a table calls a plugin: its name, and in brackets the options that are not its defaults: ``"rift(alpha=0.5)"``."""
    chosen, usual = options.model_dump(mode="json"), defaults.model_dump(mode="json")
    changed: Sequence[str] = [f"{key}={_text(value)}" for key, value in sorted(chosen.items()) if value != usual[key]]
    return f"{name}({', '.join(changed)})" if changed else name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
