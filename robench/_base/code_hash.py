"""Which code made a number: hashes of Python source, for keys and records.

A key holds a hash of code in place of a version number that somebody must remember to raise.
After a change of the code, robench trains a victim again and does not reuse the old one.

The hash covers the statements of the code. Comments, docstrings, formatting and the annotations of
functions do not count; ``code_meaning`` says what counts. The name of a local variable and the
words of an error message do count: they stand in statements, so an edit there makes a new key.
Where a file lies and what it is called do not count, so a module may move. Data files do not count.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from robench._base.code_meaning import FileCode, OwnImport, read_code
from robench._base.errors import UsageError
from robench._base.key_code import ALL_CODE


@cache
def source_sha256(*modules: str) -> str:
    """Return a SHA-256 (hex) over what the named modules do.

    A package counts with every module inside it. Neither the order nor the names of the modules
    count, and a file without any code does not count.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    counted = {name: file for module in modules for name, file in _files(module).items()}
    # The names of robench's own files are known to a plugin too, which imports from them.
    beside = {name: file for module in ALL_CODE for name, file in _files(module).items()}
    origins = _Origins({**beside, **counted})
    digests = {origins.digest(name, file) for name, file in counted.items()}
    return hashlib.sha256("\n".join(sorted(digests - {""})).encode()).hexdigest()


def code_sha256(cls: type) -> str | None:
    """Return the SHA-256 (hex) of the code that a plugin class brings.

    A built-in plugin is one file. A plugin from another package counts with all of its top-level
    package, because its imports cannot be followed from outside. A class that is made of others
    (``members``, name -> class) brings the code of all of them. A class whose work is done in
    further modules names these in ``further_code``.

    Returns:
        None where the class has no source file (a class made at run time).

    Raises:
        UsageError: ``further_code`` names a module that is not there.
    """
    members: Mapping[str, type] = getattr(cls, "members", {})
    if members:
        parts = [code_sha256(member) for member in members.values()]
        if None in parts:
            return None
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    further = tuple(getattr(cls, "further_code", ()))
    for name in further:
        _require_further(cls, name)
    module = cls.__module__
    top = module.partition(".")[0]
    home = module if top == "robench" else top
    try:
        _files(home)
    except (ImportError, ValueError):
        # A program that is run as a script cannot be found by its name.
        own = _loaded_file_sha256(module)
        if own is None or not further:
            return own
        return hashlib.sha256(f"{own}\n{source_sha256(*further)}".encode()).hexdigest()
    return source_sha256(home, *further)


def _require_further(cls: type, name: str) -> None:
    try:
        _files(name)
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"further_code of {cls.__module__}.{cls.__qualname__} names '{name}', and no source of"
            f" such a module is found ({error}). Correct the name in the class."
        ) from error


def _files(module: str) -> dict[str, Path]:
    """Return the source files of a module or package, by the names of their modules.

    Raises:
        ModuleNotFoundError: there is no source of this name.
    """
    spec = find_spec(module)
    found: dict[str, Path] = {}
    if spec is not None and spec.submodule_search_locations is not None:
        # A namespace package has no __init__.py and can have several folders.
        for folder in map(Path, spec.submodule_search_locations):
            for file in folder.rglob("*.py"):
                parts = file.relative_to(folder).with_suffix("").parts
                if file.is_file():
                    found[".".join((module, *parts)).removesuffix(".__init__")] = file
    elif spec is not None and spec.origin is not None and Path(spec.origin).is_file():
        found[module] = Path(spec.origin)
    if not found:
        raise ModuleNotFoundError(f"No source of module '{module}' is found")
    return found


def _loaded_file_sha256(module: str) -> str | None:
    """Hash the file of a loaded module that cannot be found by its name."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not Path(file).is_file():
        return None
    source = Path(file).read_bytes()
    code = read_code(source, ("robench", module.partition(".")[0]))
    return code.sha256 if code.text else hashlib.sha256(source).hexdigest()


class _Origins:
    """Finds the files from which names come that are imported from own modules.

    Args:
        files: the files among which a name can have several definitions, by module.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        self._homes: dict[str, set[str]] = {}
        self._modules: dict[str, set[str]] = {}
        for name, file in files.items():
            code = _read(name, file)
            self._modules.setdefault(name.rpartition(".")[2], set()).add(name)
            for defined in code.defined:
                self._homes.setdefault(defined, set()).add(code.sha256)

    def digest(self, module: str, file: Path) -> str:
        """Return the hash of what a file does (hex); it is empty where the file holds no code."""
        code = _read(module, file)
        free: set[str] = set()
        fixed: list[str] = []
        for imported in code.own:
            origin = self._origin(module, file, imported)
            if origin and imported.fixed:
                fixed.append(origin)
            elif origin:
                free.add(origin)
        text = "\n".join([code.text, *sorted(free), *fixed]) if free or fixed else code.text
        return hashlib.sha256(text.encode()).hexdigest() if text else ""

    def _origin(self, module: str, file: Path, imported: OwnImport) -> str:
        """Return the text that tells an import's origin; it is empty where only one is possible."""
        home = _absolute(module, file, imported)
        name = f"{imported.name} as {imported.bound}"
        if imported.name == "*":
            return f"from {sorted(self._defining(home, '*', set()))} import *"
        found = self._defining(home, imported.name, set())
        if found:
            several = len(found | self._homes.get(imported.name, set())) > 1
            return f"from {sorted(found)} import {name}" if several else ""
        inner = f"{home}.{imported.name}"
        if self._file(inner) is None:
            return ""
        # A module is imported for what it does as well, so it counts even if unused.
        if self._modules.get(imported.name, set()) <= {inner}:
            return f"module {name}"
        return f"module {sorted(self._inside(inner))} {name}"

    def _defining(self, module: str, name: str, seen: set[tuple[str, str]]) -> set[str]:
        """Return the hashes of the files that define a name which a module offers."""
        file = self._file(module)
        if file is None or (module, name) in seen:
            return set()
        seen.add((module, name))
        code = _read(module, file)
        found = {code.sha256} if name in code.defined or name == "*" else set()
        for passed in code.passed_on:
            # A name that is taken from another own module is looked for there.
            if passed.bound in (name, "*"):
                wanted = name if passed.name == "*" else passed.name
                found |= self._defining(_absolute(module, file, passed), wanted, seen)
        return found

    def _inside(self, module: str) -> set[str]:
        """Return the hashes of a module's files, those of its inner modules included."""
        inner = {
            name: file for name, file in self._files.items() if f"{name}.".startswith(f"{module}.")
        }
        file = self._file(module)
        if file is not None:
            inner[module] = file
        return {_read(name, file).sha256 for name, file in inner.items()}

    def _file(self, module: str) -> Path | None:
        """Find the file of a module without importing it."""
        if module not in self._files:
            found = next(_candidates(module), None)
            if found is None:
                return None
            self._files[module] = found
        return self._files[module]


def _candidates(module: str) -> Iterator[Path]:
    """Yield the files that the import of a module's name would find."""
    top, *parts = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder, *parts)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                yield file


def _absolute(module: str, file: Path, imported: OwnImport) -> str:
    """Return the full name of the module that an import names."""
    if imported.level == 0:
        return imported.home
    parts = module.split(".")
    if file.name == "__init__.py":
        parts.append("")
    kept = parts[: max(len(parts) - imported.level, 0)]
    return ".".join([*kept, imported.home] if imported.home else kept)


def _read(module: str, file: Path) -> FileCode:
    return read_code(file.read_bytes(), ("robench", module.partition(".")[0]))
