"""The names of a built-in plugin's options, read from its source without an import.

Completion in the shell needs them in a fraction of a second, and most plugins import torch.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from robench._base.errors import UsageError
from robench.inspection.catalogue import REGISTRY_OF_KIND
from robench.plugins.names import members_of, split_on

OPTIONS = "Options"
"""Name of the class inside a plugin that declares its options."""


def option_names(kind: str, name: str) -> list[str]:
    """Return the names of the options of one plugin, in the order of their declaration.

    Args:
        kind: ``"attack"`` or ``"defense"``.
        name: name of a plugin, also joint. Unknown names and plugins of other packages have none.
    """
    found: list[str] = []
    for member in members_of(name):
        found += _of_plugin(kind, split_on(member)[0])
    return list(dict.fromkeys(found))


def _of_plugin(kind: str, name: str) -> list[str]:
    try:
        entries = {entry.name: entry for entry in REGISTRY_OF_KIND[kind].entries()}
    except UsageError:
        return []
    entry = entries.get(name)
    if entry is None or entry.origin != "built-in":
        return []
    source = _source(entry.module)
    for node in () if source is None else source.body:
        if isinstance(node, ast.ClassDef) and any(map(_registers, node.decorator_list)):
            return _of_class(entry.module, [node.name, OPTIONS])
    return []


def _registers(decorator: ast.expr) -> bool:
    """Return whether a decorator is like ``@ATTACKS.register("genetic")``."""
    return isinstance(decorator, ast.Call) and _dotted(decorator.func)[-1:] == ["register"]


@cache
def _source(module: str) -> ast.Module | None:
    """Return the syntax tree of a module that is not imported; only its packages are."""
    package, _, stem = module.rpartition(".")
    spec = find_spec(package or module)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if not package:
            return ast.parse((Path(folder) / "__init__.py").read_text(encoding="utf-8"))
        for file in (Path(folder) / f"{stem}.py", Path(folder) / stem / "__init__.py"):
            if file.is_file():
                return ast.parse(file.read_text(encoding="utf-8"))
    return None


def _of_class(module: str, path: list[str]) -> list[str]:
    """Return the annotated fields of a class and of its bases.

    Args:
        module: where the class is defined or imported.
        path: its name, after the names of the classes around it.
    """
    source = _source(module)
    if source is None:
        return []
    outer, *inner = path
    node = next((n for n in source.body if isinstance(n, ast.ClassDef) and n.name == outer), None)
    if node is None:
        origin = _origin(source, outer)
        return [] if origin is None else _of_class(origin, path)
    if not inner:
        return _fields(module, node)
    nested = next(
        (n for n in node.body if isinstance(n, ast.ClassDef) and n.name == inner[0]), None
    )
    if nested is not None:
        return _fields(module, nested)
    alias = _alias(node, inner[0])
    if alias is not None:
        return _of_class(module, alias)
    return [name for base in node.bases for name in _of_class(module, [*_dotted(base), *inner])]


def _fields(module: str, node: ast.ClassDef) -> list[str]:
    inherited = [name for base in reversed(node.bases) for name in _of_base(module, base)]
    own = [
        statement.target.id
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
    return list(dict.fromkeys([*inherited, *own]))


def _of_base(module: str, base: ast.expr) -> list[str]:
    path = _dotted(base)
    return _of_class(module, path) if path else []


def _alias(node: ast.ClassDef, name: str) -> list[str] | None:
    """Return what ``Options = Other`` or ``Options: type[...] = Other`` in a class names."""
    for statement in node.body:
        target: ast.expr | None = None
        if isinstance(statement, ast.AnnAssign):
            target = statement.target
        elif isinstance(statement, ast.Assign):
            target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id == name:
            value = getattr(statement, "value", None)
            return _dotted(value) if value is not None else None
    return None


def _dotted(node: ast.expr) -> list[str]:
    """Return the parts of ``a.b``; nothing for another expression."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [*_dotted(node.value), node.attr]
    return []


def _origin(source: ast.Module, name: str) -> str | None:
    """Return the module from which a module imports ``name``."""
    for node in ast.walk(source):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module
    return None
