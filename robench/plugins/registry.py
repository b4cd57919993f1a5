"""Where attacks, defenses and tasks are found by name.

Built-ins and guests come in by the same door: a module whose decorator registers one class. A name is known before its module is imported
(built-ins by file name, guests by entry point), so listing costs nothing and one broken plugin harms nobody else.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean

Plugin = TypeVar("Plugin")

JOINT = "+"
"""Joins the names of what is used together, where a kind allows it."""

FAMILY = ":"
"""Stands between the prefix of a family and the name of a member, where a kind has families."""


def members_of(name: str) -> tuple[str, ...]:
    """The names that a joint name is made of; a plain name is its own only member."""
    return tuple(name.split(JOINT))


def canonical(name: str) -> str:
    """A joint name with its members in alphabetical order, so that one combination has one name; a malformed or plain one as it is."""
    return JOINT.join(sorted(members_of(name))) if all(members_of(name)) else name


class UnknownMember(LookupError):
    """A family has no member of that name; the registry makes the sentence. Not a KeyError: what goes wrong inside a family must not pass for a miss."""


class Family(ABC, Generic[Plugin]):
    """Base of what brings many plugins under one prefix, ``PREFIX:NAME``: the methods of another toolkit, say. ``all`` does not stand for them.

    Registered as a plugin is, in the registry's ``families``; its module is imported when one of its members is asked for.
    """

    @abstractmethod
    def names(self) -> list[str]:
        """What can stand after the prefix, for the sentence that helps with a miss; raises UsageError where that cannot be found out."""

    @abstractmethod
    def make(self, name: str) -> type[Plugin]:
        """The class called ``PREFIX:name``.

        Raises:
            UnknownMember: no such member.
            UsageError: there is one, and it cannot be used here.
        """


class UnknownPlugin(UsageError):
    """No plugin of that name; the sentence holds the nearest one."""


class DuplicatePlugin(UsageError):
    """Two plugins claim one name."""


class BrokenPlugin(UsageError):
    """A plugin that is installed and cannot be imported, with its reason."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One known name.

    Attributes:
        name: what the command line takes.
        module: dotted path that holds it; imported only when the plugin is asked for.
        origin: ``"built-in"`` or the distribution that brought it.
        problem: why the name cannot be used, where that is known without importing anything (two packages claim it); None otherwise.
    """

    name: str
    module: str
    origin: str
    problem: str | None = None


class Registry(Generic[Plugin]):
    """Names -> plugin classes of one kind.

    Args:
        kind: singular, for sentences: ``"attack"``.
        package: package whose modules are the built-ins; also the entry-point group of guests.
        skip: module stems of ``package`` that are not plugins.
        joining: ``"module:function"`` that makes one class of several (name -> class, sorted by name), for a kind whose plugins can be used
            together as ``one+other``; imported when it is needed. None: they cannot.
        families: where the kind's families are registered, each a ``Family``; None where it has none.
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
        self._classes: dict[str, type[Plugin]] = {}
        self._joint: dict[str, type[Plugin]] = {}
        self._members: dict[str, type[Plugin]] = {}

    @cached_property
    def _builtin(self) -> dict[str, Entry]:
        path = importlib.import_module(self.package).__path__
        stems = sorted(
            info.name
            for info in pkgutil.iter_modules(path)
            if not info.name.startswith("_") and info.name not in self._skip
        )
        return {
            stem.replace("_", "-"): Entry(
                stem.replace("_", "-"), f"{self.package}.{stem}", "built-in"
            )
            for stem in stems
        }

    @cached_property
    def _guests(self) -> dict[str, EntryPoint]:
        guests: dict[str, EntryPoint] = {}
        for point in sorted(
            entry_points(group=self.package), key=lambda point: (point.name, point.value)
        ):
            guests.setdefault(point.name, point)
        return guests

    @cached_property
    def _clashes(self) -> dict[str, str]:
        """Name -> the sentence that refuses it. Only that name is refused: a clash in one package must not take the others from its user."""
        clashes: dict[str, str] = {}
        for point in entry_points(group=self.package):
            first = self._guests[point.name]
            if point.name in self._builtin:
                clashes[point.name] = (
                    f"{_origin(point)} wants to register {self.kind} '{point.name}', but that is a built-in name. Rename it in that package."
                )
            # The same entry point can be seen twice when a package is on the path twice (a checkout and its installation).
            elif first.value != point.value:
                claimants = " and by ".join(sorted((_origin(first), _origin(point))))
                clashes[point.name] = (
                    f"{self.kind} '{point.name}' is claimed by {claimants}. Uninstall or rename one."
                )
        return clashes

    def entries(self) -> list[Entry]:
        """Every known name, sorted; imports no plugin. A name that two packages claim is there once, with its problem."""
        guests = {
            name: Entry(name, point.module, _origin(point)) for name, point in self._guests.items()
        }
        local = {
            name: Entry(name, cls.__module__, "registered in this process")
            for name, cls in self._classes.items()
        }
        known = local | guests | self._builtin
        return [replace(known[name], problem=self._clashes.get(name)) for name in sorted(known)]

    def guests(self) -> list[EntryPoint]:
        """The entry points of other packages whose names nobody else claims, sorted by name; imports no plugin."""
        return [point for name, point in sorted(self._guests.items()) if name not in self._clashes]

    def names(self) -> list[str]:
        """Every known name, sorted; imports no plugin."""
        return [entry.name for entry in self.entries()]

    def register(self, name: str) -> Callable[[type[Plugin]], type[Plugin]]:
        """Class decorator that makes a plugin known as ``name`` (lower case, words joined by ``-``).

        Raises:
            DuplicatePlugin: another class has the name, or it belongs to a built-in.
            UsageError: the name holds what joins names.
        """
        self._refuse_signs(name)

        def decorate(cls: type[Plugin]) -> type[Plugin]:
            builtin = self._builtin.get(name)
            if builtin is not None and cls.__module__ != builtin.module:
                raise DuplicatePlugin(
                    f"{cls.__module__} wants to register {self.kind} '{name}', but that is a built-in name."
                )
            known = self._classes.get(name)
            if known is not None and (known.__module__, known.__qualname__) != (
                cls.__module__,
                cls.__qualname__,
            ):
                raise DuplicatePlugin(
                    f"{self.kind} '{name}' is registered by {known.__module__} and again by {cls.__module__}."
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
        for sign, use in ((JOINT, "joins names"), (FAMILY, "ends a family's prefix")):
            if sign in name:
                raise UsageError(
                    f"The {self.kind} '{name}' cannot be registered: '{sign}' {use}. "
                    "Choose another name."
                )

    def check(self, name: str) -> None:
        """Refuse a name that nothing is known by, at once: no plugin is imported. Of ``PREFIX:NAME`` only the prefix is looked at.

        Raises:
            UnknownPlugin: nothing of that name.
            DuplicatePlugin: two packages claim the name.
            UsageError: a joint name that is malformed.
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
            raise UnknownPlugin(self._miss(name))

    def _check_joint(self, name: str) -> None:
        members = members_of(name)
        if not all(members):
            raise UsageError(
                f"'{name}' does not name a {self.kind} on each side of '{JOINT}'. Join whole names, such as one{JOINT}other."
            )
        twice = next((member for member in members if members.count(member) > 1), None)
        if twice is not None:
            raise UsageError(f"'{name}' names '{twice}' twice. Name each {self.kind} once.")
        for member in members:
            self.check(member)

    def get(self, name: str) -> type[Plugin]:
        """The class called ``name``; imports its module and no other plugin's. A joint name has one class, in whatever order its members stand.

        Raises:
            UnknownPlugin: nothing of that name.
            DuplicatePlugin: two packages claim the name.
            UsageError: a joint name whose members do not go together.
            BrokenPlugin: its module cannot be imported or does not register it.
        """
        self.check(name)
        if name in self._classes:
            return self._classes[name]
        if self._joining is not None and JOINT in name:
            return self._join(canonical(name))
        if self.families is not None and FAMILY in name:
            return self._member(self.families, name)
        if name in self._builtin:
            importlib.import_module(self._builtin[name].module)
        else:
            self._import_guest(self._guests[name])
        if name not in self._classes:
            module = (self._builtin.get(name) or Entry(name, self._guests[name].module, "")).module
            raise BrokenPlugin(
                f"{module} was imported for {self.kind} '{name}' but registers no such name. Check the name in its decorator."
            )
        return self._classes[name]

    def _join(self, name: str) -> type[Plugin]:
        if name not in self._joint:
            module, _, function = str(self._joining).partition(":")
            self._joint[name] = getattr(importlib.import_module(module), function)(
                {member: self.get(member) for member in members_of(name)}
            )
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
                    f"There is no {self.kind} '{name}'.{hint} After '{prefix}{FAMILY}' can stand: {', '.join(known)}."
                ) from None
        return self._members[name]

    def _import_guest(self, point: EntryPoint) -> None:
        try:
            point.load()
        except (KeyboardInterrupt, UsageError):
            raise
        except BaseException as error:  # a guest may raise anything, SystemExit included
            reason = " ".join(str(error).split())
            raise BrokenPlugin(
                f"{self.kind} '{point.name}' from {_origin(point)} cannot be imported ({type(error).__name__}: {reason}). Mend or uninstall that package."
            ) from error

    def origin(self, name: str) -> str:
        """Where ``name`` comes from, as ``Entry.origin`` has it; of a joint name, all its members' origins."""
        known = {entry.name: entry.origin for entry in self.entries()}
        if self.families is not None and FAMILY in name:
            return self.families.origin(name.partition(FAMILY)[0])
        return (
            known[name]
            if name in known
            else " and ".join(dict.fromkeys(known[member] for member in members_of(name)))
        )

    def _miss(self, name: str) -> str:
        if self.families is not None and name in self.families.names():
            return f"'{name}' is a family of {self.kind}s: name one of it as {name}{FAMILY}NAME; 'robench show {self.kind} {name}{FAMILY}' lists them."
        return f"There is no {self.kind} '{name}'.{did_you_mean(name, self.names())} See 'robench list {self.kind.partition(' ')[0]}s'."

    def name_of(self, cls: type[Plugin]) -> str:
        """The name under which ``cls`` was registered."""
        for name, known in self._classes.items():
            if known is cls:
                return name
        raise KeyError(cls)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def _origin(point: EntryPoint) -> str:
    return (
        f"package '{point.dist.name}'" if point.dist is not None else f"entry point '{point.value}'"
    )
