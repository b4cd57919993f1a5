"""Run one example from its clean prediction through the search to the verdict.

This is blocking code, which the engine runs in a greenlet.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from greenlet import GreenletExit
from numpy.typing import NDArray

from robench._base.signals import raise_if_signalled
from robench.models.probabilities import exact_softmax
from robench.search.access import Access
from robench.search.attack import DIGITS, Attack, FreeAttack, Trial, Verdict
from robench.search.batching import Purpose
from robench.search.claims import Claim
from robench.search.conversation import Ending, search_space, search_texts
from robench.search.jobs import Job
from robench.search.judge import Judgement, judge_choice, judge_text
from robench.search.oracle import MeteredOracle, PooledOracle
from robench.search.problems import bounded, describe_error
from robench.search.settings import SearchSettings
from robench.search.texts import PooledTextOracle
from robench.search.victim_protocol import Candidates, SearchVictim, TokenTypes
from robench.search.whitebox import PooledWhiteBoxOracle, declared_access
from robench.text.encoding import EncodedText
from robench.text.space import Choice

logger = logging.getLogger(__name__)

AskEngine = Callable[
    [Purpose, TokenTypes, NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]
]
"""Passes rows (ids, lengths) to the victim and returns their logits ``(rows, classes)``.

It raises whatever the victim raised.
"""


@dataclass(frozen=True)
class SearchSetup:
    """One attack on one victim; all its examples share this.

    Attributes:
        free: whether the attack writes texts of its own.
        access: what it declares that it needs to see. Both are read once, because an attack can
            change itself while it runs.
    """

    victim: SearchVictim
    attack: Attack
    attack_name: str
    settings: SearchSettings
    free: bool = field(init=False)
    access: Access = field(init=False)

    def __post_init__(self) -> None:
        # A frozen dataclass sets its own attributes in this way.
        object.__setattr__(self, "free", isinstance(self.attack, FreeAttack))
        object.__setattr__(self, "access", declared_access(self.attack, self.attack_name))


def example_rng(seed: int, attack_name: str, example_id: str) -> np.random.Generator:
    """Return the random stream of one example."""
    digest = hashlib.sha256("\x1f".join((str(seed), attack_name, example_id)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _rounded_probs(logits: NDArray[np.float32]) -> tuple[float, ...] | None:
    """Return the probabilities ``(classes,)`` as a trial holds them; None if any is not a number.

    They are rounded, so that a trial shows no digits that mean nothing.
    """
    probs = exact_softmax(logits)
    return tuple(probs.round(DIGITS).tolist()) if np.isfinite(probs).all() else None


class ExampleRun:
    """One example under one attack."""

    def __init__(self, search: SearchSetup, job: Job, ask: AskEngine) -> None:
        self._search, self._job, self._ask = search, job, ask
        self._oracle: MeteredOracle | None = None
        self._clean: tuple[EncodedText, NDArray[np.float32]] | None = None
        self._returned: Claim | None = None
        self._problem: str | None = None
        self._note: str | None = None

    def trial(self) -> Trial:
        """Run the example to its verdict; only the trial's time is missing.

        Errors of the plugin and the victim become ERROR trials. Only exceptions that end the
        process propagate.
        """
        example = self._job.example
        try:
            self._clean = self._read_and_ask("clean", example.fields)
        except Exception as error:
            return Trial(
                id=example.id,
                verdict=Verdict.ERROR,
                label=example.label,
                prediction=None,
                problem=bounded(f"the victim failed on the clean text: {describe_error(error)}"),
            )
        prediction = int(self._clean[1].argmax())
        if prediction != example.label:
            return Trial(
                id=example.id,
                verdict=Verdict.WRONG,
                label=example.label,
                prediction=prediction,
                probs=_rounded_probs(self._clean[1]),
            )
        self._run_search()
        judgement, accepted = self._judgement()
        asked_at_success = self._asked_at_success(accepted)
        # This object and the oracle refer to each other. Breaking this cycle frees their memory
        # now instead of at the next garbage collection.
        oracle, self._oracle = self._oracle, None
        if oracle is not None:
            oracle.close()
        return Trial(
            id=example.id,
            verdict=judgement.verdict,
            label=example.label,
            prediction=prediction,
            probs=_rounded_probs(self._clean[1]),
            adversarial_prediction=judgement.adversarial_prediction,
            adversarial_probs=judgement.adversarial_probs,
            changes=judgement.changes,
            text=judgement.text,
            asked=oracle.asked if oracle else 0,
            asked_at_success=asked_at_success,
            forwarded=oracle.forwarded if oracle else 0,
            problem=judgement.problem,
        )

    @property
    def _exact(self) -> bool:
        """Whether the search gets its answers in fp32."""
        return self._search.settings.precision == "fp32"

    @property
    def _proved(self) -> bool:
        """Whether it is certain that no text of the space fools the victim.

        It is if all texts were answered in fp32, or if the clean text is the only one.
        """
        if self._search.free:
            return False
        return self._job.space.cardinality == 1 or (
            self._exact and self._oracle is not None and self._oracle.exhausted
        )

    def _run_search(self) -> None:
        """Run the attack, and note how it ended."""
        try:
            ending = self._converse()
        # The engine closes the run.
        except GreenletExit:
            raise
        except BaseException as error:
            raise_if_signalled()
            ending = Ending("failed", problem=describe_error(error))
        self._returned = ending.claim
        if ending.reason == "failed":
            logger.debug("the search of %s failed: %s", self._job.example.id, ending.problem)
            self._problem = ending.problem
        elif ending.reason != "returned":
            self._note, self._problem = self._why_ended(ending)

    def _why_ended(self, ending: Ending) -> tuple[str | None, str | None]:
        """Return the note on a search that the oracle ended, and what is wrong with that end.

        An attack can raise the oracle's exceptions itself.
        """
        budget, oracle = self._search.settings.budget, self._oracle
        if ending.reason == "budget":
            if budget is None:
                return None, "the attack raised BudgetSpent, but there is no budget"
            return f"the budget of {budget} rows was spent", None
        if oracle is None or not oracle.exhausted:
            return None, "the attack raised SpaceExhausted, but the space is not exhausted"
        if self._exact:
            return None, None
        return (
            "the whole space was answered without a success, but in bf16, which proves nothing",
            None,
        )

    def _converse(self) -> Ending:
        """Run the attack with the oracle that its access allows."""
        search, job = self._search, self._job
        label, settings = job.example.label, search.settings
        rng = example_rng(settings.seed, search.attack_name, job.example.id)
        if search.free:
            assert isinstance(search.attack, FreeAttack)
            text = job.example.fields[search.victim.attackable]
            texts = self._oracle = PooledTextOracle(
                search.victim, job, self._ask_for_search, settings.budget
            )
            return search_texts(search.attack, text, texts, settings.budget, label, rng)
        oracle = self._oracle = self._pooled_oracle()
        return search_space(search.attack, job.space, oracle, search.access, label, rng)

    def _pooled_oracle(self) -> PooledOracle:
        victim, job = self._search.victim, self._job
        candidates = self._candidates()
        kind: Any = PooledOracle
        if self._search.access == "gradients":
            temperature = self._search.settings.temperature
            kind = partial(PooledWhiteBoxOracle, victim, temperature=temperature)
        oracle: PooledOracle = kind(
            job.space,
            candidates,
            job.example.label,
            self._ask_for_search,
            self._search.settings.budget,
            aligned=victim.table.mode == "word",
            longest=victim.encoder_fields.max_tokens,
            clean=self._clean_logits(candidates),
        )
        return oracle

    def _candidates(self) -> Candidates:
        job = self._job
        return self._search.victim.encoder_fields.candidates(
            job.words, job.space, job.example.fields
        )

    def _clean_logits(self, candidates: Candidates) -> NDArray[np.float32] | None:
        """Return the clean text's logits if they answer the search's query for it, else None.

        They do if the search is in fp32 and the unchanged words give the same row as the string.
        """
        assert self._clean is not None
        encoded, logits = self._clean
        (ids,), (length,) = candidates.encode(self._job.space.original()[None])
        same = np.array_equal(ids[:length], encoded.ids) and np.array_equal(
            candidates.types(int(length)), encoded.token_types
        )
        return self._tempered(logits) if self._exact and same else None

    def _tempered(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the victim's logits as a search sees them; see ``SearchSettings.temperature``."""
        temperature = self._search.settings.temperature
        return logits if temperature == 1 else logits / np.float32(temperature)

    def _ask_for_search(
        self, types: TokenTypes, ids: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        try:
            return self._tempered(self._ask("search", types, ids, lengths))
        except Exception as error:
            raise RuntimeError(f"the victim failed: {describe_error(error)}") from error

    def _judgement(self) -> tuple[Judgement, object]:
        """Judge what the search returned; if it is rejected, judge the successes that it saw.

        The second value is the claim that the verdict accepted; None without one.
        """
        if self._problem is not None:
            return Judgement(Verdict.ERROR, problem=self._problem), None
        if self._proved:
            return Judgement(Verdict.HELD_PROVED, problem=self._note), None
        first: Judgement | None = None
        claim: object
        seen = self._oracle.successes if self._oracle is not None else []
        if self._returned is not None and self._returned.problem is not None:
            return Judgement(Verdict.ERROR, problem=self._returned.problem), None
        for claim in (self._own_claim, *seen):
            if claim is None:
                continue
            judgement = self._judged(claim)
            if judgement.verdict != Verdict.HELD:
                return judgement, claim if judgement.verdict == Verdict.FOOLED else None
            # If all claims are rejected, the trial reports the first.
            first = first or judgement
        return first or Judgement(Verdict.HELD, problem=self._note), None

    def _asked_at_success(self, accepted: object) -> int | None:
        """Return ``Trial.asked_at_success``, given the claim that the verdict accepted.

        A smaller budget would end the search earlier, and its successes would be judged in order.
        So the first one that the verdict accepts counts, even if the search went on to another.
        """
        oracle = self._oracle
        if oracle is None or accepted is None:
            return None
        # If the search's own claim was rejected, so were the successes before the accepted one.
        unjudged = accepted is self._own_claim
        for success, asked in zip(oracle.successes, oracle.asked_at_successes, strict=True):
            same = np.array_equal(success, np.asarray(accepted))
            if same or (unjudged and self._judged(success).verdict == Verdict.FOOLED):
                return asked
        return oracle.asked

    @property
    def _own_claim(self) -> object:
        """What the search returned."""
        return self._returned.value if self._returned is not None else None

    def _judged(self, claim: object) -> Judgement:
        attackable = self._search.victim.attackable
        answers: list[NDArray[np.float32]] = []

        def of_text(fields: Mapping[str, str]) -> int:
            answers.append(self._read_and_ask("verdict", fields)[1])
            return int(answers[-1].argmax())

        if self._search.free:
            judgement = judge_text(self._job, attackable, claim, of_text)
        else:
            judgement = judge_choice(self._job, attackable, claim, of_text, self._class_of_words)
        # Without an answer the judge did not ask, or the victim failed.
        if not answers or judgement.adversarial_prediction is None:
            return judgement
        return replace(judgement, adversarial_probs=_rounded_probs(answers[-1]))

    def _read_and_ask(
        self, purpose: Purpose, fields: Mapping[str, str]
    ) -> tuple[EncodedText, NDArray[np.float32]]:
        """Return a text as the victim reads it, and its logits ``(classes,)``."""
        encoded = self._search.victim.read(fields)
        lengths = np.array([len(encoded.ids)], dtype=np.int32)
        return encoded, self._ask(purpose, encoded, encoded.ids[None], lengths)[0]

    def _class_of_words(self, choice: Choice) -> int:
        """Return the class of a choice in fp32, from the search's own answers if they are fp32."""
        if self._exact and isinstance(self._oracle, PooledOracle):
            known = self._oracle.prediction(choice)
            if known is not None:
                return known
        candidates = self._candidates()
        return int(self._ask("verdict", candidates, *candidates.encode(choice[None]))[0].argmax())
