"""What a Python file does, written as text that is the same for every wording of the file."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

_UNCOUNTED = frozenset({"ctx", "kind", "returns", "type_comment", "type_ignores"})
"""Fields of a syntax tree without an effect at run time, or that follow from the place."""
_FOR_TYPES = frozenset({"__future__", "typing", "typing_extensions", "collections.abc"})
"""Modules whose names mostly stand in annotations; an import from them counts where it is used."""

Place = Literal["body", "class", "branch"]
"""Where a statement stands: in a module or function, in a class, or in an ``if``, ``try``, ..."""


@dataclass(frozen=True)
class OwnImport:
    """``from home import name as bound``, where ``home`` belongs to an own package.

    Attributes:
        level: number of leading dots; 0 for an absolute import.
        fixed: whether the place of the import counts.
    """

    level: int
    home: str
    name: str
    bound: str
    fixed: bool = False


@dataclass(frozen=True)
class FileCode:
    """What one file does, and how its names hang together with those of other files.

    Attributes:
        text: the meaning; it is empty where nothing counts.
        sha256: the hash of the text (hex).
        own: its imports from own packages, outside ``if TYPE_CHECKING:``.
        defined: names that the file binds at top level by itself or takes from another package.
        passed_on: names that it binds at top level to names of own modules.
    """

    text: str
    sha256: str
    own: tuple[OwnImport, ...]
    defined: frozenset[str]
    passed_on: tuple[OwnImport, ...]


@cache
def read_code(source: bytes, packages: Sequence[str] = ("robench",)) -> FileCode:
    """Read one file. A file in another language version counts byte by byte.

    Args:
        packages: top-level packages whose modules may move; see ``_Meaning``.
    """
    try:
        tree = ast.parse(source)
        text, own = _Meaning(packages).of(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        sha256 = hashlib.sha256(source).hexdigest()
        return FileCode(sha256, sha256, (), frozenset(), ())
    defined, passed_on = _top_level(tree, packages)
    return FileCode(text, hashlib.sha256(text.encode()).hexdigest(), own, defined, passed_on)


def meaning(source: bytes, packages: Sequence[str] = ("robench",)) -> str:
    """Write down what a Python file does, the same for every way to word and format it.

    Args:
        packages: top-level packages whose modules may move; see ``_Meaning``.

    Raises:
        SyntaxError, ValueError: ``source`` is not Python.
    """
    return _Meaning(packages).of(ast.parse(source))[0]


def _for_types_alone(statement: ast.stmt) -> bool:
    """Whether this is ``if TYPE_CHECKING:``."""
    match statement:
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return True
    return False


def _statements(block: Sequence[ast.stmt], *, inside: bool) -> Iterator[ast.stmt]:
    """Yield the statements of a block and of its inner blocks, without what only types need.

    Args:
        inside: whether to look into functions and classes.
    """
    for statement in block:
        yield statement
        if not inside and isinstance(
            statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ):
            continue
        if not _for_types_alone(statement):
            yield from _statements(getattr(statement, "body", ()), inside=inside)
        # The arms of "try" and "match" are no statements and hold blocks of their own.
        for arm in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _statements(arm.body, inside=inside)
        for name in ("orelse", "finalbody"):
            yield from _statements(getattr(statement, name, ()), inside=inside)


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement other than an import binds."""
    targets: list[ast.expr] = []
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign():
            targets = statement.targets
        case ast.AnnAssign() | ast.AugAssign() | ast.For():
            targets = [statement.target]
        case ast.With():
            targets = [item.optional_vars for item in statement.items if item.optional_vars]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _own(statement: ast.ImportFrom, packages: Sequence[str]) -> bool:
    return statement.level > 0 or (statement.module or "").partition(".")[0] in packages


def _top_level(
    tree: ast.Module, packages: Sequence[str]
) -> tuple[frozenset[str], tuple[OwnImport, ...]]:
    """Return the names that a file defines, and those that it takes from own modules."""
    defined: set[str] = set()
    passed_on: list[OwnImport] = []
    for statement in _statements(tree.body, inside=False):
        defined.update(_bound_names(statement))
        match statement:
            case ast.ImportFrom(module=home, level=level) if _own(statement, packages):
                for alias in statement.names:
                    bound = alias.asname or alias.name
                    passed_on.append(OwnImport(level, home or "", alias.name, bound))
            case ast.Import() | ast.ImportFrom():
                defined.update(bound for bound, _ in _sources(statement))
    if "__getattr__" in defined:
        passed_on.extend(_lazy(tree, packages))
    return frozenset(defined), tuple(passed_on)


def _lazy(tree: ast.Module, packages: Sequence[str]) -> Iterator[OwnImport]:
    """Yield the names of a table "name -> module" that a module's ``__getattr__`` reads."""
    for statement in tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        if not isinstance(statement.value, ast.Dict):
            continue
        for key, value in zip(statement.value.keys, statement.value.values, strict=True):
            match key, value:
                case ast.Constant(value=str(name)), ast.Constant(value=str(home)):
                    if home.partition(".")[0] in packages:
                        yield OwnImport(0, home, name, name)


class _Meaning:
    """The syntax tree of one file as text, without everything that decides no result.

    These do not count:

    - comments, formatting, line numbers, and how a constant is spelled (``1_000``, ``"a" "b"``);
    - docstrings and every other statement that is only a constant, and ``pass``;
    - annotations of arguments, return values and variables;
    - ``if TYPE_CHECKING:`` and ``__all__``;
    - the place and order of imports, where each name is imported once in the file. An import in
      a branch, in a class, or of a name that is bound again stays where it is;
    - imports for types (``_FOR_TYPES``) that nothing uses;
    - where a name from one of ``packages`` is imported from. The file that defines it stands in
      the same key, so only ``import name as other`` counts. ``code_hash`` adds which file it is
      where several files define the name.

    An annotation in the body of a class does count. In a pydantic model, a dataclass or a
    NamedTuple it makes a field and can decide how a value is parsed (``int`` or ``float``).
    Whether a class is one of these cannot be told from its file: its base may lie elsewhere.

    The text holds no empty field, because Python 3.12 and 3.13 added some. A future version may
    parse a construct differently. The hash then differs, and a victim is trained once more.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._used: set[str] = set()
        self._fixed: set[str] = set()
        # (module for types, bound name, text) of each import whose place does not count.
        self._imports: list[tuple[bool, str, str]] = []
        self._own: list[OwnImport] = []

    def of(self, module: ast.Module) -> tuple[str, tuple[OwnImport, ...]]:
        """Return the text, which is empty where nothing counts, and the imports of own names."""
        self._fixed = self._bound_twice(module)
        body = self._block(module.body, "body")
        imports = {text for types, bound, text in self._imports if not types or bound in self._used}
        return "\n".join([*sorted(imports), *body]), tuple(self._own)

    def _bound_twice(self, module: ast.Module) -> set[str]:
        """Return the imported names that the file binds to more than one thing."""
        sources: dict[str, set[str]] = {}
        for statement in _statements(module.body, inside=True):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for bound, source in _sources(statement):
                    sources.setdefault(bound, set()).add(source)
        for statement in _statements(module.body, inside=False):
            for name in _bound_names(statement):
                sources.setdefault(name, set()).add("")
        return {name for name, found in sources.items() if len(found) > 1}

    def _block(self, statements: Sequence[ast.stmt], place: Place) -> list[str]:
        return [
            statement if isinstance(statement, str) else self._node(statement, place)
            for statement in self._counted(statements, place)
        ]

    def _counted(self, statements: Sequence[ast.stmt], place: Place) -> Iterator[ast.stmt | str]:
        """Yield the statements that do something; note the imports on the way."""
        for statement in statements:
            match statement:
                case ast.Pass() | ast.Expr(value=ast.Constant()):
                    continue
                case ast.Import() | ast.ImportFrom():
                    yield from self._imported(statement, place)
                case ast.If() if _for_types_alone(statement):
                    yield from self._counted(statement.orelse, place)
                case (
                    ast.Assign(targets=[ast.Name(id="__all__")])
                    | ast.AugAssign(target=ast.Name(id="__all__"))
                    | ast.AnnAssign(target=ast.Name(id="__all__"))
                ):
                    continue
                case ast.AnnAssign(target=target, value=value) if place != "class":
                    if value is not None:
                        yield ast.Assign(targets=[target], value=value)
                case _:
                    yield statement

    def _imported(self, statement: ast.Import | ast.ImportFrom, place: Place) -> Iterator[str]:
        """Yield the texts of the imports whose place counts, and note all others."""
        home = (statement.module or "") if isinstance(statement, ast.ImportFrom) else ""
        own = isinstance(statement, ast.ImportFrom) and _own(statement, self._packages)
        for alias, (bound, _) in zip(statement.names, _sources(statement), strict=True):
            fixed = place != "body" or bound in self._fixed
            if isinstance(statement, ast.ImportFrom) and own:
                text = f"import {alias.name} as {bound}"
                self._own.append(OwnImport(statement.level, home, alias.name, bound, fixed))
            elif isinstance(statement, ast.ImportFrom):
                text = f"from {home} import {alias.name} as {bound}"
            else:
                text = f"import {alias.name} as {bound}"
            if fixed:
                yield f"({text})"
            elif not own or bound != alias.name or bound == "*":
                self._imports.append((home in _FOR_TYPES, bound, text))

    def _node(self, node: ast.AST, place: Place) -> str:
        match node:
            case ast.Name(id=name):
                self._used.add(name)
                return name
            case ast.Constant(value=value):
                # Escaped, because which characters count as printable differs between versions.
                return f"={value!a}"
            case ast.arg(arg=name):
                return name
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                place = "body"
            # A class's bases and decorators hold no statements, so the place says its body alone.
            case ast.ClassDef():
                place = "class"
            case ast.stmt() if place == "body":
                place = "branch"
        parts = [type(node).__name__]
        for field in node._fields:
            value = getattr(node, field, None)
            text = "" if field in _UNCOUNTED else self._value(value, place)
            if text:
                parts.append(f"{field}={text}")
        return f"({' '.join(parts)})"

    def _value(self, value: object, place: Place) -> str:
        """Return the text of a field's value; it is empty where the field is."""
        if value is None or value == []:
            return ""
        if isinstance(value, ast.AST):
            return self._node(value, place)
        if not isinstance(value, list):
            return ascii(value)
        if isinstance(value[0], ast.stmt):
            block = self._block(value, place)
            return f"[{' '.join(block)}]" if block else ""
        items = (
            self._node(item, place) if isinstance(item, ast.AST) else ascii(item) for item in value
        )
        return f"[{' '.join(items)}]"


def _sources(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Yield the name that each import binds, and what it is bound to."""
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            home = f"{'.' * statement.level}{statement.module or ''}"
            yield alias.asname or alias.name, f"{home} {alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            # "import a.b" and "import a.c" both bind "a".
            top = alias.name.partition(".")[0]
            yield top, top
