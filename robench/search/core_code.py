"""Whether the code that searches and judges is still what it was.

A plugin runs in the process of this code, and can set a function, a class or an attribute of it.
So the identity of everything in robench's modules and classes is compared, and of the functions of
Python, NumPy and torch on which verdicts rest.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

OWN = "robench"
"""The package whose modules and classes are compared entry by entry."""
OTHERS = ("builtins", "math", "numpy")
"""Modules of others whose entries are compared."""
TORCH = ("torch", "torch.nn.functional")
"""Modules of others whose functions are compared. Torch sets some of their other values."""
CHANGING = frozenset(
    {"_", "__annotations__", "__annotations_cache__", "__warningregistry__", "__path__"}
)
"""Names that Python itself sets at any time."""

Owner = ModuleType | type


class CoreCode:
    """What the code is now, for a comparison later. It takes some hundredths of a second.

    What a container of a module holds is not compared: the code itself keeps caches.

    Args:
        model: a torch module whose classes and their modules are compared too, or None.
        modules: beginnings of the names of robench's modules that count. Those that are loaded
            later do not.
    """

    def __init__(self, model: Any = None, modules: tuple[str, ...] = (OWN,)) -> None:
        self._entries = {name: _Entries(owner) for name, owner in _own_owners(modules)}
        for name in OTHERS:
            self._entries[name] = _Entries(sys.modules[name], foreign=True)
        classes = _classes_of(model)
        torch = TORCH if classes else ()
        for name in sorted({*torch, *(each.__module__ for each in classes)}):
            if (module := sys.modules.get(name)) is not None and name not in self._entries:
                self._entries[name] = _Entries(module, foreign=True, only_code=True)
        for each in classes:
            name = f"{each.__module__}.{each.__qualname__}"
            self._entries.setdefault(name, _Entries(each, foreign=True, only_code=True))
        functions = {
            id(function): (f"{name}.{entry}", _Function(function))
            for name, entries in self._entries.items()
            for entry, value in entries.before.items()
            for function in _functions_in(value)
        }
        self._functions = list(functions.values())

    def restored(self) -> list[str]:
        """Put back what was replaced, added or removed, and return the names."""
        changed = [
            f"{name}.{entry}"
            for name, entries in self._entries.items()
            for entry in entries.restored()
        ]
        changed += [name for name, function in self._functions if function.restored()]
        return changed


class _Entries:
    """The entries of a module or a class.

    Args:
        foreign: whether it is not robench's. Then entries may be added that replace nothing.
        only_code: whether only functions, methods and properties are compared.
    """

    def __init__(self, owner: Owner, *, foreign: bool = False, only_code: bool = False) -> None:
        self._owner, self._foreign, self._names = owner, foreign, set(vars(owner))
        # Pydantic completes a class at its first use.
        complete = vars(owner).get("__pydantic_complete__", True)
        self.before = {
            name: value
            for name, value in list(vars(owner).items())
            if name not in CHANGING
            and (not only_code or _is_code(value))
            and (complete or not name.startswith("__pydantic_"))
        }

    def restored(self) -> list[str]:
        """Put back what changed, and return the names."""
        now, missing = vars(self._owner), object()
        changed = [
            name for name, value in self.before.items() if now.get(name, missing) is not value
        ]
        for name in changed:
            self._set(name)
        added = [
            name
            for name, value in list(now.items())
            if name not in self._names and not self._may_come(name, value)
        ]
        for name in added:
            self._remove(name)
        return changed + added

    def _set(self, name: str) -> None:
        # A metaclass, such as that of enumerations, may refuse what type itself does.
        if isinstance(self._owner, ModuleType):
            vars(self._owner)[name] = self.before[name]
        else:
            with suppress(AttributeError, TypeError):
                type.__setattr__(self._owner, name, self.before[name])

    def _remove(self, name: str) -> None:
        if isinstance(self._owner, ModuleType):
            vars(self._owner).pop(name, None)
        else:
            with suppress(AttributeError, TypeError):
                type.__delattr__(self._owner, name)

    def _may_come(self, name: str, value: Any) -> bool:
        """Return whether an added entry replaces nothing."""
        # Libraries keep books in names such as __slotnames__.
        if name in CHANGING or (_is_special(name) and not _is_code(value)):
            return True
        if isinstance(self._owner, ModuleType):
            if self._foreign:
                return self._owner is builtins or name not in vars(builtins)
            # A module that is imported later.
            return sys.modules.get(f"{self._owner.__name__}.{name}", self) is value
        if self._foreign and not _is_code(value):
            return True
        # Python copies the __init__ of a base into classes below a protocol.
        return any(vars(base).get(name, self) is value for base in self._owner.__mro__[1:])


class _Function:
    """The code of a function and the defaults of its parameters."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        self._code, self._defaults = function.__code__, function.__defaults__
        self._keywords = None if function.__kwdefaults__ is None else {**function.__kwdefaults__}

    def restored(self) -> bool:
        """Put back what changed, and return whether anything had."""
        function = self._function
        if (
            function.__code__ is self._code
            and function.__defaults__ is self._defaults
            and _same(function.__kwdefaults__, self._keywords)
        ):
            return False
        function.__code__, function.__defaults__ = self._code, self._defaults
        function.__kwdefaults__ = self._keywords and {**self._keywords}
        return True


def _same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Return whether two tables hold the same objects."""
    if not one or not other:
        return not one and not other
    return one.keys() == other.keys() and all(one[name] is other[name] for name in one)


def _own_owners(modules: tuple[str, ...]) -> Iterator[tuple[str, Owner]]:
    """Yield the modules of robench that are loaded, and the classes that they define."""
    for name, module in list(sys.modules.items()):
        own = name == OWN or name.startswith(f"{OWN}.")
        if not (own and name.startswith(modules) and isinstance(module, ModuleType)):
            continue
        yield name, module
        for entry, value in list(vars(module).items()):
            if isinstance(value, type) and value.__module__ == name:
                yield f"{name}.{entry}", value


def _classes_of(model: Any) -> list[type]:
    """Return the classes of the modules and parameters of a torch module, with their bases."""
    if not hasattr(model, "modules"):
        return []
    found = {type(module): None for module in model.modules()}
    found |= {type(tensor): None for tensor in model.parameters()}
    found |= dict.fromkeys(base for each in list(found) for base in each.__mro__)
    return [each for each in found if each is not object]


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_code(value: Any) -> bool:
    # Not classes: torch.Storage, for example, follows torch's default dtype.
    return (not isinstance(value, type) and callable(value)) or isinstance(
        value, classmethod | staticmethod | property
    )


def _functions_in(value: Any) -> Iterator[FunctionType]:
    """Yield the functions of Python code that an entry of a module or a class holds."""
    if isinstance(value, property):
        inner: tuple[Any, ...] = (value.fget, value.fset, value.fdel)
    elif isinstance(value, cached_property):
        inner = (value.func,)
    elif isinstance(value, type):
        return
    else:
        inner = (value, vars(value).get("__wrapped__") if hasattr(value, "__dict__") else None)
    for each in inner:
        if isinstance(each, classmethod | staticmethod):
            each = each.__func__
        if isinstance(each, FunctionType):
            yield each
