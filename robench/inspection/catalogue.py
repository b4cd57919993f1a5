"""The names that can be chosen, with one line about each.

Nothing here imports a plugin or torch, so that ``robench list`` is fast.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeGuard

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.plugins.names import FAMILY
from robench.plugins.registry import Entry, Registry, UnknownPlugin
from robench.search.attack import Attack
from robench.search.registry import ATTACKS
from robench.tasks.registry import TASKS
from robench.tasks.resolving import is_own_data
from robench.training.registry import DEFENSES

REGISTRY_OF_KIND: dict[str, Registry[Any]] = {"attack": ATTACKS, "defense": DEFENSES, "task": TASKS}
"""The kinds that plugins can add to, each with its registry."""
KINDS = ("attack", "defense", "task", "encoder", "protocol")


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One name that can be chosen.

    Attributes:
        kind: one of ``KINDS``.
        name: what the command line takes. A family of plugins is one row, ``PREFIX:NAME``.
        origin: ``"built-in"`` or the package that adds it.
        summary: one line about it.
        problem: why it cannot be used; None where it can.
        sees: what an attack may see of a victim: ``"probabilities"``, ``"labels"``,
            ``"gradients"`` or ``"nothing"``; empty for the other kinds, and where it is not known.
    """

    kind: str
    name: str
    origin: str
    summary: str
    problem: str | None = None
    sees: str = ""


def find_kind(word: str) -> str:
    """Return the kind that ``word`` names, in the singular or the plural.

    Raises:
        UsageError: there is no such kind; the sentence suggests the nearest one.
    """
    singular = word.lower().removesuffix("s")
    if singular in KINDS:
        return singular
    raise UsageError(
        f"There is no kind '{word}'.{did_you_mean(singular, KINDS, '{}s')} "
        f"Kinds: {', '.join(f'{kind}s' for kind in KINDS)}."
    )


def find_kind_of(name: str) -> str:
    """Return the only kind that has the name ``name``; no plugin is imported.

    Raises:
        UsageError: no kind or several kinds have the name, or it is itself the name of a kind.
    """
    if is_own_data(name):
        return "task"
    having = [kind for kind in KINDS if _has_name(kind, name)]
    if len(having) == 1:
        return having[0]
    if having:
        commands = " or ".join(f"'robench show {kind} {name}'" for kind in having)
        raise UsageError(
            f"The name '{name}' belongs to several kinds: {', '.join(having)}. Say {commands}."
        )
    singular = name.lower().removesuffix("s")
    if singular in KINDS:
        raise UsageError(
            f"'{name}' is a kind: add the name of one {singular}. See 'robench list {singular}s'."
        )
    every_name = [each for kind in KINDS for each in names_of(kind)]
    raise UsageError(f"There is no '{name}'.{did_you_mean(name, every_name)} See 'robench list'.")


def _has_name(kind: str, name: str) -> bool:
    if kind not in REGISTRY_OF_KIND:
        return name in names_of(kind)
    registry = REGISTRY_OF_KIND[kind]
    if registry.families is not None and name in registry.families.names():
        return True
    try:
        registry.check(name)
    except UnknownPlugin:
        return False
    except UsageError:
        # The name is known and cannot be used, for example because two packages claim it.
        return True
    return True


def names_of(kind: str) -> list[str]:
    """Return the names of one kind, without families and joint names."""
    if kind == "encoder":
        from robench.models.encoders import ENCODERS

        return list(ENCODERS)
    if kind == "protocol":
        from robench.protocol import PROTOCOLS

        return sorted(PROTOCOLS)
    return REGISTRY_OF_KIND[kind].names()


def list_kind(kind: str, *, check: bool = False) -> list[CatalogueRow]:
    """Return one row for each name of a kind.

    Plugins are sorted by name; the families of the kind come after them.

    Args:
        kind: one of ``KINDS``.
        check: examine the plugins of other packages again, and ignore remembered results.
    """
    if kind == "encoder":
        from robench.models.encoders import ENCODERS

        return [
            CatalogueRow(kind, info.name, "built-in", info.summary) for info in ENCODERS.values()
        ]
    if kind == "protocol":
        from robench.protocol import PROTOCOLS

        return [
            CatalogueRow(kind, name, "built-in", PROTOCOLS[name].summary)
            for name in sorted(PROTOCOLS)
        ]
    return _list_plugins(kind, check)


def _list_plugins(kind: str, check: bool) -> list[CatalogueRow]:
    from robench.inspection.health import check_guests

    health_of = check_guests(force=check)
    registry = REGISTRY_OF_KIND[kind]
    sources: list[tuple[Registry[Any], str]] = [(registry, "")]
    if registry.families is not None:
        sources.append((registry.families, f"{FAMILY}NAME"))
    rows = []
    for source, suffix in sources:
        for entry in source.entries():
            health = health_of.get((source.kind, entry.name))
            name = entry.name + suffix
            if health is None:
                summary, problem = builtin_summary(entry), entry.problem
                sees = builtin_sees(entry) if kind == "attack" else ""
            else:
                summary, problem = health.summary, entry.problem or health.problem
                sees = health.sees
            rows.append(CatalogueRow(kind, name, entry.origin, summary, problem, sees))
    return rows


def builtin_summary(entry: Entry) -> str:
    """Read the first line of a built-in's module docstring, without importing the module.

    The result is empty where there is no docstring, and for every plugin that is not a built-in.
    """
    module = _builtin_module(entry)
    docstring = "" if module is None else ast.get_docstring(module) or ""
    return docstring.strip().partition("\n")[0]


def builtin_sees(entry: Entry) -> str:
    """Read what a built-in attack sees of a victim, without importing its module.

    It is empty for a plugin that is not a built-in. See ``CatalogueRow.sees``.
    """
    module = _builtin_module(entry)
    if module is None:
        return ""
    constants: dict[str, Any] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            constants |= {each.id: node.value.value for each in node.targets if _is_name(each)}
    if constants.get("searches") is False:
        return "nothing"
    return str(constants.get("access", Attack.access))


def _is_name(target: ast.expr) -> TypeGuard[ast.Name]:
    return isinstance(target, ast.Name)


def _builtin_module(entry: Entry) -> ast.Module | None:
    """Parse the module of a built-in; None if it has no file, or for any other plugin."""
    if entry.origin != "built-in":
        return None
    package, _, stem = entry.module.rpartition(".")
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        file = Path(folder) / f"{stem}.py"
        if file.is_file():
            return ast.parse(file.read_text("utf-8"))
    return None
