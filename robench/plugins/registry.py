"""Find attacks, defenses and tasks by name.

Built-ins and guests (plugins of other packages) are registered in the same way: a decorator in
their module registers one class. A name is known before its module is imported: a built-in's from
its file name, a guest's from its entry point. So listing names imports nothing, and one broken
plugin does not affect the others.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from robench._base.errors import UsageError, one_line
from robench._base.hints import did_you_mean
from robench._base.last_words import last_words
from robench._base.signals import raise_if_signalled, watching_signals
from robench.plugins.family import Family as Family
from robench.plugins.family import UnknownMember as UnknownMember
from robench.plugins.names import FAMILY, JOINT, ON, canonical, members_of

Plugin = TypeVar("Plugin")

BUILT_IN = "built-in"
"""Origin of robench's own plugins."""
IN_PROCESS = "registered in this process"
"""Origin of a plugin that no other process finds: a class of a script or a notebook."""


class UnknownPlugin(UsageError):
    """No plugin has that name; the sentence suggests the nearest one."""


class DuplicatePlugin(UsageError):
    """Two plugins have the same name."""


class BrokenPlugin(UsageError):
    """A plugin is installed and cannot be imported; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One known name.

    Attributes:
        name: the name on the command line.
        module: dotted name of the plugin's module, which is imported only on first use.
        origin: ``"built-in"`` or the package that adds it.
        problem: why the name cannot be used, as far as this is known without an import (two
            packages claim it); None otherwise.
    """

    name: str
    module: str
    origin: str
    problem: str | None = None


class Registry(Generic[Plugin]):
    """The plugins of one kind, by name.

    Args:
        kind: the kind in the singular, for sentences: ``"attack"``.
        package: the package whose modules are the built-ins; also the entry-point group of guests.
        skip: names of modules in ``package`` that are not plugins.
        joining: ``"module:function"`` that makes one class of several (name -> class, sorted by
            name). It is imported on first use. None: plugins of this kind cannot be joined as
            ``one+other``.
        families: the registry of the kind's families; None where it has none.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        skip: frozenset[str] = frozenset(),
        joining: str | None = None,
        families: Registry[Family[Plugin]] | None = None,
    ) -> None:
        self.kind = kind
        self.package = package
        self._skip = skip
        self._joining = joining
        self.families = families
        # Name -> class: registered plugins, joint classes and members of families.
        self._classes: dict[str, type[Plugin]] = {}
        self._joint: dict[str, type[Plugin]] = {}
        self._members: dict[str, type[Plugin]] = {}

    @cached_property
    def _builtin(self) -> dict[str, Entry]:
        builtin = {}
        folders = importlib.import_module(self.package).__path__
        for stem in sorted(info.name for info in pkgutil.iter_modules(folders)):
            if not stem.startswith("_") and stem not in self._skip:
                name = stem.replace("_", "-")
                builtin[name] = Entry(name, f"{self.package}.{stem}", BUILT_IN)
        return builtin

    @cached_property
    def _guests(self) -> dict[str, EntryPoint]:
        guests: dict[str, EntryPoint] = {}
        points = entry_points(group=self.package)
        for point in sorted(points, key=lambda point: (point.name, point.value)):
            guests.setdefault(point.name, point)
        return guests

    @cached_property
    def _clashes(self) -> dict[str, str]:
        """Name -> the sentence that refuses it. Other names of the same package still work."""
        clashes: dict[str, str] = {}
        for point in entry_points(group=self.package):
            first = self._guests[point.name]
            if point.name in self._builtin:
                clashes[point.name] = (
                    f"{_origin(point)} wants to register {self.kind} '{point.name}', "
                    "but that is a built-in name. Rename it in that package."
                )
            # The same entry point is seen twice where a package is on the path twice, for example
            # a checkout and its installation.
            elif first.value != point.value:
                claimants = " and by ".join(sorted((_origin(first), _origin(point))))
                clashes[point.name] = (
                    f"{self.kind} '{point.name}' is claimed by {claimants}. "
                    "Uninstall or rename one."
                )
        return clashes

    def entries(self) -> list[Entry]:
        """Return every known name, sorted, without importing a plugin.

        A name that two packages claim appears once, with its problem.
        """
        known = {}
        for name, cls in self._classes.items():
            known[name] = Entry(name, cls.__module__, IN_PROCESS)
        for name, point in self._guests.items():
            known[name] = Entry(name, point.module, _origin(point))
        known |= self._builtin
        return [replace(known[name], problem=self._clashes.get(name)) for name in sorted(known)]

    def guests(self) -> list[EntryPoint]:
        """Return the entry points of guests without a clash, sorted by name, importing nothing."""
        return [point for name, point in sorted(self._guests.items()) if name not in self._clashes]

    def names(self) -> list[str]:
        """Return every known name, sorted, without importing a plugin."""
        return [entry.name for entry in self.entries()]

    def register(self, name: str) -> Callable[[type[Plugin]], type[Plugin]]:
        """Return a class decorator that registers a plugin as ``name``.

        Args:
            name: lower case, words joined by ``-``.

        Raises:
            DuplicatePlugin: another class or a built-in has the name.
            UsageError: the name contains a sign that joins names.
        """
        self._refuse_signs(name)

        def decorate(cls: type[Plugin]) -> type[Plugin]:
            builtin = self._builtin.get(name)
            if builtin is not None and cls.__module__ != builtin.module:
                raise DuplicatePlugin(
                    f"{cls.__module__} wants to register {self.kind} '{name}', "
                    "but that is a built-in name."
                )
            known = self._classes.get(name)
            # The same class comes again where its module is reloaded.
            if known is not None and not _same_definition(known, cls):
                raise DuplicatePlugin(
                    f"{self.kind} '{name}' is registered by {known.__module__} "
                    f"and again by {cls.__module__}."
                )
            self._classes[name] = cls
            return cls

        return decorate

    @contextmanager
    def temporarily(self, name: str, cls: type[Plugin]) -> Iterator[type[Plugin]]:
        """Register ``cls`` as ``name`` for the length of a ``with`` block.

        This is for tests of plugins. Inside the block, ``cls`` takes the place of a plugin that has
        the same name. Afterwards the registry is as it was before.

            with ATTACKS.temporarily("mine", Mine):
                assert ATTACKS.get("mine") is Mine

        Raises:
            UsageError: the name contains a sign that joins names.
        """
        self._refuse_signs(name)
        before = self._classes.get(name)
        # Joint classes that were made with another class of this name.
        joint = self._forget_joint(name)
        self._classes[name] = cls
        try:
            yield cls
        finally:
            self._forget_joint(name)
            self._joint.update(joint)
            if before is None:
                del self._classes[name]
            else:
                self._classes[name] = before

    def _forget_joint(self, member: str) -> dict[str, type[Plugin]]:
        """Remove the joint classes that contain ``member``, and return them by name."""
        names = [name for name in self._joint if member in members_of(name)]
        return {name: self._joint.pop(name) for name in names}

    def _refuse_signs(self, name: str) -> None:
        signs = (
            (JOINT, "joins names"),
            (FAMILY, "ends a family's prefix"),
            (ON, "names a substitution set"),
        )
        for sign, use in signs:
            if sign in name:
                raise UsageError(
                    f"The {self.kind} '{name}' cannot be registered: '{sign}' {use}. "
                    "Choose another name."
                )

    def check(self, name: str) -> None:
        """Refuse an unknown name, without importing a plugin.

        Of ``PREFIX:NAME`` only the prefix is checked.

        Raises:
            UnknownPlugin: no plugin has the name.
            DuplicatePlugin: two packages claim the name.
            UsageError: the name is a malformed joint name.
        """
        if name in self._clashes:
            raise DuplicatePlugin(self._clashes[name])
        if name in self._classes:
            return
        if self._joining is not None and JOINT in name:
            self._check_joint(canonical(name))
        elif self.families is not None and FAMILY in name:
            self.families.check(name.partition(FAMILY)[0])
        elif name not in self._builtin and name not in self._guests:
            raise UnknownPlugin(self._unknown_name(name))

    def _check_joint(self, name: str) -> None:
        members = members_of(name)
        if not all(members):
            raise UsageError(
                f"'{name}' does not name a {self.kind} on each side of '{JOINT}'. "
                f"Join whole names, such as one{JOINT}other."
            )
        twice = next((member for member in members if members.count(member) > 1), None)
        if twice is not None:
            raise UsageError(f"'{name}' names '{twice}' twice. Name each {self.kind} once.")
        for member in members:
            self.check(member)

    def get(self, name: str) -> type[Plugin]:
        """Return the class called ``name``, importing its module and no other plugin's.

        A joint name has one class, whatever the order of its members.

        Raises:
            UnknownPlugin: no plugin has the name.
            DuplicatePlugin: two packages claim the name.
            UsageError: the members of a joint name cannot be used together.
            BrokenPlugin: the module cannot be imported or does not register the name.
        """
        self.check(name)
        if name in self._classes:
            return self._classes[name]
        if self._joining is not None and JOINT in name:
            return self._join(canonical(name))
        if self.families is not None and FAMILY in name:
            return self._member(self.families, name)
        if name in self._builtin:
            module = self._builtin[name].module
            importlib.import_module(module)
        else:
            module = self._guests[name].module
            self._import_guest(self._guests[name])
        if name not in self._classes:
            raise BrokenPlugin(
                f"{module} was imported for {self.kind} '{name}' but registers no such name. "
                "Check the name in its decorator."
            )
        return self._classes[name]

    def _join(self, name: str) -> type[Plugin]:
        if name not in self._joint:
            module, _, function = str(self._joining).partition(":")
            join = getattr(importlib.import_module(module), function)
            self._joint[name] = join({member: self.get(member) for member in members_of(name)})
        return self._joint[name]

    def _member(self, families: Registry[Family[Plugin]], name: str) -> type[Plugin]:
        if name not in self._members:
            prefix, _, member = name.partition(FAMILY)
            family = families.get(prefix)()
            try:
                self._members[name] = family.make(member)
            except UnknownMember:
                known = family.names()
                hint = did_you_mean(member, known, f"{prefix}{FAMILY}{{}}")
                raise UnknownPlugin(
                    f"There is no {self.kind} '{name}'.{hint} "
                    f"After '{prefix}{FAMILY}' can stand: {', '.join(known)}."
                ) from None
        return self._members[name]

    def _import_guest(self, point: EntryPoint) -> None:
        which = f"{self.kind} '{point.name}' from {_origin(point)}"
        ended = (
            f"Error: the process ended while it imported {one_line(which)}. Code of that package "
            "ended it. Fix or uninstall that package."
        )
        with watching_signals(), last_words(ended):
            try:
                point.load()
            except UsageError:
                raise
            # A guest may raise anything, SystemExit and KeyboardInterrupt included. Only those of
            # the user's signals end the command.
            except BaseException as error:
                raise_if_signalled()
                raise BrokenPlugin(
                    f"{which} cannot be imported "
                    f"({type(error).__name__}: {one_line(error)}). Fix or uninstall that package."
                ) from error

    def origin(self, name: str) -> str:
        """Return where ``name`` comes from, as in ``Entry.origin``.

        A joint name has the origins of all its members.
        """
        if self.families is not None and FAMILY in name:
            return self.families.origin(name.partition(FAMILY)[0])
        known = {entry.name: entry.origin for entry in self.entries()}
        if name in known:
            return known[name]
        return " and ".join(dict.fromkeys(known[member] for member in members_of(name)))

    def _unknown_name(self, name: str) -> str:
        if self.families is not None and name in self.families.names():
            return (
                f"'{name}' is a family of {self.kind}s: name one of it as {name}{FAMILY}NAME; "
                f"'robench show {self.kind} {name}{FAMILY}' lists them."
            )
        # 'robench list attacks' lists the families of attacks as well.
        kinds = f"{self.kind.partition(' ')[0]}s"
        hint = did_you_mean(name, self.names())
        return f"There is no {self.kind} '{name}'.{hint} See 'robench list {kinds}'."

    def name_of(self, cls: type[Plugin]) -> str:
        """Return the name of a registered class; raises KeyError where it has none."""
        for name, known in self._classes.items():
            if known is cls:
                return name
        raise KeyError(cls)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def _origin(point: EntryPoint) -> str:
    if point.dist is not None:
        return f"package '{point.dist.name}'"
    return f"entry point '{point.value}'"


def _same_definition(one: type, other: type) -> bool:
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)
