"""Attack: what a plugin writes. Verdict and Trial: what the core concludes from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar, final

import numpy as np
from pydantic import BaseModel, ConfigDict

from robench.plugins import options as plain
from robench.search.access import Access
from robench.search.space import Choice, Oracle, SearchSpace, TextOracle


class Verdict(StrEnum):
    """What became of one example."""

    WRONG = "wrong"  # the clean text is misclassified: never attacked
    FOOLED = "fooled"  # the core saw the victim fail: on a text inside the surface, but for attacks that say they leave it
    HELD = "held"  # the search ended without such a text
    HELD_PROVED = "held-proved"  # the whole space was tried
    ERROR = "error"  # the attack or the victim broke; never counted as robust


class Change(BaseModel):
    """One substituted word."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    position: int
    original: str
    substitute: str


class Trial(BaseModel):
    """One example under one attack, as it is appended to the run's file.

    ``asked`` counts the questions a search put, ``forwarded`` the rows that had to go through the victim (repeats within an example are answered from
    memory). ``prediction`` is the victim's class on the clean text (None only where the victim broke on it), ``adversarial_prediction`` on the one that
    was claimed to fool it (None where none was). ``text`` is the attackable field as an attack outside the surface returned it, where ``changes``
    cannot say it. ``seconds`` is this example's share of the run: its own search's time and, of each pooled forward, the
    share of its rows. ``problem`` says what went wrong, or what the core did not believe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    id: str
    verdict: Verdict
    label: int
    prediction: int | None
    adversarial_prediction: int | None = None
    changes: tuple[Change, ...] = ()
    text: str | None = None
    asked: int = 0
    forwarded: int = 0
    seconds: float = 0.0
    problem: str | None = None

    @property
    def disbelieved(self) -> bool:
        """Whether a success was claimed that the core did not see."""
        return self.verdict == Verdict.HELD and self.adversarial_prediction is not None


class Attack(ABC):
    """Base of every attack. A plugin is one file in ``attacks/`` (or a guest's module) with one subclass that writes ``search``.

    Class attributes:
        paper: citation of what it implements.
        deviations: where it departs from the paper or the released code, one sentence each.
        access: what it needs to see of the victim; it is shown no more. With ``"labels"`` every answer of the oracle is one-hot.
        language_model: whether the language-model constraint binds it under a protocol whose surface is ``"as-published"``.
        outside: whether it writes texts of its own: only ``FreeAttack`` does.
        further_code: modules beside its own file, and outside ``robench.search``, that its trials hang on: their code stands in the keys.
    """

    paper: ClassVar[str] = ""
    deviations: ClassVar[tuple[str, ...]] = ()
    access: ClassVar[Access] = "probabilities"
    language_model: ClassVar[bool] = True
    outside: ClassVar[bool] = False
    further_code: ClassVar[tuple[str, ...]] = ()

    class Options(plain.Options):
        """This attack's options; override with a subclass of ``robench.Options``."""

    def __init__(self, options: plain.Options | None = None) -> None:
        self.options: plain.Options = options if options is not None else type(self).Options()

    def check(self) -> None:
        """Refuse early, by a UsageError, what it would lack here; called before anything is trained. Most attacks lack nothing."""

    @abstractmethod
    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Look for a choice in ``space`` whose prediction is not ``label``.

        The core has already seen the victim right on the original text. Write a plain loop; all randomness must come from ``rng``; the
        oracle's questions block and are pooled with other searches'. Whatever is returned is checked again from the text up. Where that is
        not believed, or nothing is returned, the first texts that were asked about and fooled the victim are judged in turn; the search does not go on.
        Once it has been told that its budget is spent, a search that goes on asking regardless is ended.

        Returns:
            The choice believed to fool the victim, or None.
        """


class FreeAttack(Attack):
    """Base of an attack that writes texts of its own: what it asks and returns need not lie inside the surface, so it never shares a table with those that do.

    A plugin writes ``rewrite`` instead of ``search``. Only what is returned counts, since a text that was merely asked about may be one that the attack
    itself would not allow. The core asks the victim again on it, from the string up; nothing is ever proved.
    """

    language_model = False
    outside = True

    @final
    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Never called."""
        raise NotImplementedError(
            f"{type(self).__name__} writes texts of its own and searches no space"
        )

    @abstractmethod
    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        """Look for a text whose prediction is not ``label``.

        Args:
            text: the attackable field as it stands; the others stay as they are.

        Returns:
            The attackable field believed to fool the victim, or None.
        """
