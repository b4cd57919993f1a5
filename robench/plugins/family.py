"""Families: many plugins under one prefix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

Plugin = TypeVar("Plugin")


class UnknownMember(LookupError):
    """A family has no member of that name; the registry writes the sentence for the user.

    It is not a KeyError, because a KeyError inside a family is a bug and not an unknown name.
    """


class Family(ABC, Generic[Plugin]):
    """Base class of families, which provide many plugins under one prefix, ``PREFIX:NAME``.

    An example is the attacks of another toolkit. ``all`` does not include them. A family is
    registered like a plugin, in the registry's ``families``. Its module is imported when one of
    its members is asked for.

    Class attributes:
        outside: for attacks, whether every member writes texts of its own (``Attack.outside``).
    """

    outside: ClassVar[bool] = False

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of the members, to help after an unknown one.

        Raises:
            UsageError: the names cannot be found out.
        """

    @abstractmethod
    def make(self, name: str) -> type[Plugin]:
        """Return the class called ``PREFIX:name``.

        Raises:
            UnknownMember: there is no such member.
            UsageError: the member exists and cannot be used here.
        """
