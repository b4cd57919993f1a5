"""Which code made a number: hashes of source files, for keys and records.

Keys hold hashes instead of revision numbers that somebody must remember to raise: after an edit, a victim is trained again rather than passed off
as the work of code that it never saw.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def source_sha256(*modules: str) -> str:
    """SHA-256 (hex) over the Python source of the modules named; a package counts with every module inside it.

    Raises:
        ModuleNotFoundError: no such module.
    """
    total = hashlib.sha256()
    for module in modules:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No source of module '{module}' is found")
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
        for file in files:
            total.update(
                f"{module}:{file.relative_to(origin.parent).as_posix()}\n".encode()
                + file.read_bytes()
                + b"\0"
            )
    return total.hexdigest()


def code_sha256(cls: type) -> str | None:
    """SHA-256 of the code that a plugin class brings; None where it has no source file (a class made at run time).

    A built-in is one file. What a guest's file imports from its own package cannot be told from outside, so all of that package counts. A class
    that is made of others (``members``, name -> class) brings the code of all of them, and one whose work lies in further modules names these
    (``further_code``).
    """
    members: Mapping[str, type] = getattr(cls, "members", {})
    if members:
        parts = [code_sha256(member) for member in members.values()]
        return (
            None
            if None in parts
            else hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
        )
    module = cls.__module__
    top = module.partition(".")[0]
    try:
        return source_sha256(module if top == "robench" else top, *getattr(cls, "further_code", ()))
    except (ImportError, ValueError, OSError):
        return _file_sha256(module)


def _file_sha256(module: str) -> str | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return (
        hashlib.sha256(Path(file).read_bytes()).hexdigest()
        if file and Path(file).is_file()
        else None
    )
