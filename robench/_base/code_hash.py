"""Which code made a number: hashes of Python source, for keys and records.

A key holds a hash of code in place of a version number that somebody must remember to raise.
After a change of the code, robench trains a victim again and does not reuse the old one.

The hash covers what the code does, and not how it is written. ``_Meaning`` says what counts.
Where a file lies and what it is called do not count, so a module may move.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_UNCOUNTED = frozenset({"ctx", "kind", "returns", "type_comment", "type_ignores"})
"""Fields of a syntax tree without an effect at run time, or that follow from the place."""


@cache
def source_sha256(*modules: str) -> str:
    """Return a SHA-256 (hex) over what the named modules do.

    A package counts with every module inside it. Neither the order nor the names of the modules
    count, and a file without any code does not count.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    digests = {digest for module in modules for digest in _module_digests(module)}
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def code_sha256(cls: type) -> str | None:
    """Return the SHA-256 (hex) of the code that a plugin class brings.

    A built-in plugin is one file. A plugin from another package counts with all of its top-level
    package, because its imports cannot be followed from outside. A class that is made of others
    (``members``, name -> class) brings the code of all of them. A class whose work is done in
    further modules names these in ``further_code``.

    Returns:
        None where the class has no source file (a class made at run time).
    """
    members: Mapping[str, type] = getattr(cls, "members", {})
    if members:
        parts = [code_sha256(member) for member in members.values()]
        if None in parts:
            return None
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    module = cls.__module__
    top = module.partition(".")[0]
    try:
        return source_sha256(module if top == "robench" else top, *getattr(cls, "further_code", ()))
    except (ImportError, ValueError, OSError):
        return _loaded_file_sha256(module)


def meaning(source: bytes, packages: Sequence[str] = ("robench",)) -> str:
    """Write down what a Python file does, the same for every way to word and format it.

    Args:
        packages: top-level packages whose modules may move; see ``_Meaning``.

    Raises:
        SyntaxError, ValueError: ``source`` is not Python.
    """
    return _Meaning(packages).of(ast.parse(source))


def _module_digests(module: str) -> Iterator[str]:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No source of module '{module}' is found")
    origin = Path(spec.origin)
    files = origin.parent.rglob("*.py") if spec.submodule_search_locations else [origin]
    for file in files:
        digest = _digest(file.read_bytes(), module.partition(".")[0])
        if digest is not None:
            yield digest


def _loaded_file_sha256(module: str) -> str | None:
    """Hash the file of a loaded module that cannot be found by its name."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not Path(file).is_file():
        return None
    source = Path(file).read_bytes()
    return _digest(source, module.partition(".")[0]) or hashlib.sha256(source).hexdigest()


@cache
def _digest(source: bytes, package: str) -> str | None:
    """Return the SHA-256 of a file's meaning; None where the file holds no code."""
    try:
        text = meaning(source, ("robench", package))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # A file in another language version counts byte by byte.
        return hashlib.sha256(source).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest() if text else None


class _Meaning:
    """The syntax tree of one file as text, without everything that decides no result.

    These do not count:

    - comments, formatting, line numbers, and how a constant is spelled (``1_000``, ``"a" "b"``);
    - docstrings and every other statement that is only a constant, and ``pass``;
    - annotations of arguments, return values and variables;
    - ``if TYPE_CHECKING:`` and ``__all__``;
    - imports that nothing uses, and the place and order of imports;
    - where a name from one of ``packages`` is imported from. The file that defines it stands in
      the same key, so only ``import name as other`` counts.

    An annotation in the body of a class does count. In a pydantic model, a dataclass or a
    NamedTuple it makes a field and can decide how a value is parsed (``int`` or ``float``).
    Whether a class is one of these cannot be told from its file: its base may lie elsewhere.

    The text holds no empty field, because Python 3.12 and 3.13 added some. A future version may
    parse a construct differently. The hash then differs, and a victim is trained once more.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._used: set[str] = set()
        self._imports: list[tuple[str, str]] = []

    def of(self, module: ast.Module) -> str:
        """Return the text; it is empty where nothing counts."""
        body = self._block(module.body, in_class=False)
        # A name's import counts when the code that is left uses the name.
        imports = sorted({text for bound, text in self._imports if bound in self._used | {"*"}})
        return "\n".join([*imports, *body])

    def _block(self, statements: Sequence[ast.stmt], in_class: bool) -> list[str]:
        return [
            self._node(statement, in_class) for statement in self._counted(statements, in_class)
        ]

    def _counted(self, statements: Sequence[ast.stmt], in_class: bool) -> Iterator[ast.stmt]:
        """Yield the statements that do something; note the imports on the way."""
        for statement in statements:
            match statement:
                case ast.Pass() | ast.Expr(value=ast.Constant()):
                    continue
                case ast.Import() | ast.ImportFrom():
                    self._imports.extend(self._imported(statement))
                case ast.If(
                    test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")
                ):
                    yield from self._counted(statement.orelse, in_class)
                case (
                    ast.Assign(targets=[ast.Name(id="__all__")])
                    | ast.AugAssign(target=ast.Name(id="__all__"))
                    | ast.AnnAssign(target=ast.Name(id="__all__"))
                ):
                    continue
                case ast.AnnAssign(target=target, value=value) if not in_class:
                    if value is not None:
                        yield ast.Assign(targets=[target], value=value)
                case _:
                    yield statement

    def _imported(self, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
        """Yield the name that each import binds, and the text that stands for the import."""
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                bound = alias.asname or alias.name.partition(".")[0]
                yield bound, f"import {alias.name} as {alias.asname or bound}"
            return
        home = statement.module or ""
        own = statement.level > 0 or home.partition(".")[0] in self._packages
        for alias in statement.names:
            bound = alias.asname or alias.name
            if not own:
                yield bound, f"from {home} import {alias.name} as {bound}"
            elif bound != alias.name or bound == "*":
                yield bound, f"import {alias.name} as {bound}"

    def _node(self, node: ast.AST, in_class: bool) -> str:
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
                in_class = False
        # A class's bases and decorators hold no statements, so the flag says its body alone.
        in_class = in_class or isinstance(node, ast.ClassDef)
        parts = [type(node).__name__]
        for field in node._fields:
            value = getattr(node, field, None)
            text = "" if field in _UNCOUNTED else self._value(value, in_class)
            if text:
                parts.append(f"{field}={text}")
        return f"({' '.join(parts)})"

    def _value(self, value: object, in_class: bool) -> str:
        """Return the text of a field's value; it is empty where the field is."""
        if value is None or value == []:
            return ""
        if isinstance(value, ast.AST):
            return self._node(value, in_class)
        if not isinstance(value, list):
            return ascii(value)
        if isinstance(value[0], ast.stmt):
            block = self._block(value, in_class)
            return f"[{' '.join(block)}]" if block else ""
        items = (
            self._node(item, in_class) if isinstance(item, ast.AST) else ascii(item)
            for item in value
        )
        return f"[{' '.join(items)}]"
