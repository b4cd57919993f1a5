"""Attack, the base class of attack plugins; Verdict and Trial, the result for one example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar, final

import numpy as np
from pydantic import BaseModel, ConfigDict

from robench.plugins import options as plain
from robench.search.access import Access
from robench.search.oracle_interface import Oracle, TextOracle
from robench.text.space import Choice, SearchSpace

DIGITS = 6
"""Digits after the point of a trial's probabilities."""


class Verdict(StrEnum):
    """The result for one example.

    Attributes:
        WRONG: the victim misclassifies the clean text, so the example is never attacked.
        FOOLED: the core saw the victim misclassify a changed text. The text lies inside the
            surface, unless the attack declares that it leaves the surface.
        HELD: the search ended without such a text.
        HELD_PROVED: the whole space was tried and no text of it fools the victim.
        ERROR: the attack or the victim failed. An ERROR never counts as robust.
    """

    WRONG = "wrong"
    FOOLED = "fooled"
    HELD = "held"
    HELD_PROVED = "held-proved"
    ERROR = "error"


class Change(BaseModel):
    """One substituted word."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    position: int
    original: str
    substitute: str


class Trial(BaseModel):
    """One example under one attack, as it is appended to the run's file.

    Attributes:
        id, label: of the example.
        prediction: the victim's class on the clean text; None only if the victim failed on it.
        probs: the victim's probabilities ``(classes,)`` on the clean text, in fp32 and rounded to
            ``DIGITS`` digits; None where the victim gave none, and in trials of older versions.
        adversarial_prediction: the victim's class on the text that was claimed to fool it; None
            if there was none.
        adversarial_probs: the probabilities on that text, like ``probs``.
        changes: the substituted words of that text.
        text: the attackable field as an attack outside the surface returned it; ``changes``
            cannot express it.
        asked: rows that the search queried, repeats included.
        asked_at_success: rows that it had queried up to the first text that fools the victim and
            that the verdict accepts, that text included. It is the smallest budget that would
            have been enough. It is ``asked`` where the search queried no such text, and for an
            attack outside the surface. None unless the verdict is FOOLED, and in trials of older
            versions.
        forwarded: rows that went through the victim. Repeats within an example are answered
            from memory and do not count.
        seconds: this example's share of the run. It is the time of its own search and, of each
            pooled forward, the share of its rows.
        problem: what went wrong, or why the core rejected a claimed success.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    id: str
    verdict: Verdict
    label: int
    prediction: int | None
    probs: tuple[float, ...] | None = None
    adversarial_prediction: int | None = None
    adversarial_probs: tuple[float, ...] | None = None
    changes: tuple[Change, ...] = ()
    text: str | None = None
    asked: int = 0
    asked_at_success: int | None = None
    forwarded: int = 0
    seconds: float = 0.0
    problem: str | None = None

    @property
    def disbelieved(self) -> bool:
        """Whether the attack claimed a success that the core did not confirm."""
        return self.verdict == Verdict.HELD and self.adversarial_prediction is not None


class Attack(ABC):
    """Base class of every attack.

    A plugin is one file in ``attacks/``, or a module of another package. It holds one subclass
    that implements ``search``.

    Class attributes:
        paper: citation of what it implements.
        deviations: where it departs from the paper or the released code, one sentence each.
        cost: how many queries it makes for one example, in plain words; ``robench show`` says it.
        access: what it needs to see of the victim; it sees no more. With ``"labels"`` every
            answer of the oracle is one-hot.
        language_model: whether the language-model constraint applies to it under a protocol
            whose surface is ``"as-published"``.
        outside: whether it writes texts of its own; only ``FreeAttack`` does.
        in_all: whether ``--attack all`` includes it.
        searches: whether it searches for a text that fools the victim. Without a search, the
            accuracy under it is the clean accuracy, and no worst case of a run covers it.
        further_code: modules that its trials depend on, other than its own file and
            ``robench.search``. Keys contain a hash of their code.
        substitutions: name of the substitution set that it usually searches, such as
            ``"masked-lm"``; empty for the task's own. ``NAME@SET`` names another one.
    """

    paper: ClassVar[str] = ""
    deviations: ClassVar[tuple[str, ...]] = ()
    cost: ClassVar[str] = ""
    access: ClassVar[Access] = "probabilities"
    language_model: ClassVar[bool] = True
    outside: ClassVar[bool] = False
    in_all: ClassVar[bool] = True
    searches: ClassVar[bool] = True
    further_code: ClassVar[tuple[str, ...]] = ()
    substitutions: ClassVar[str] = ""

    class Options(plain.Options):
        """Options of this attack; override with a subclass of ``robench.Options``."""

    def __init__(self, options: plain.Options | None = None) -> None:
        self.options: plain.Options = options if options is not None else type(self).Options()

    def check(self) -> None:
        """Raise a UsageError if something that this attack needs is missing here.

        It is called before anything is trained. Most attacks need nothing.
        """

    @abstractmethod
    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Search ``space`` for a choice whose prediction is not ``label``.

        The victim is right on the original text; the core has checked this. Write a plain loop,
        and take all randomness from ``rng``. Queries to the oracle block; they are pooled with
        those of other searches.

        The core checks the returned choice again, starting from its text. If that check fails,
        or nothing is returned, the core judges the first queried texts that fooled the victim,
        in turn. The search does not continue. A search that keeps querying after BudgetSpent is
        stopped.

        Returns:
            The choice expected to fool the victim, or None.
        """


class FreeAttack(Attack):
    """Base class of an attack that writes texts of its own.

    Its texts need not lie inside the surface, so its results never share a table with those of
    attacks that stay inside. A plugin implements ``rewrite`` instead of ``search``.

    Only the returned text counts, because the attack itself may forbid a text that it merely
    queried. The core asks the victim about the returned string again. Nothing is ever proved.
    """

    language_model = False
    outside = True

    @final
    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Raise NotImplementedError; the core calls ``rewrite`` instead."""
        raise NotImplementedError(
            f"{type(self).__name__} writes texts of its own and searches no space"
        )

    @abstractmethod
    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        """Search for a text whose prediction is not ``label``.

        Args:
            text: the attackable field of the example; the other fields stay as they are.

        Returns:
            The attackable field expected to fool the victim, or None.
        """
