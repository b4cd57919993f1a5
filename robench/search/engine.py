"""The engine: many searches at once, their questions pooled into full forwards.

Each search is blocking code in a greenlet of its own. Its oracle parks it; the engine runs on with the others, and only when a length has rows for a
full forward, or nobody can go on without one, does the victim work. New searches are let in only while that keeps forwards from being full, so
memory does not grow with the number of examples.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import perf_counter

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet
from numpy.typing import NDArray

from robench.environment import Precision
from robench.search.access import restricted
from robench.search.attack import Attack, FreeAttack, Trial, Verdict
from robench.search.batching import Pool, Question, Shapes
from robench.search.judge import Ruling, clean_predictions, rule
from robench.search.oracle import SUCCESSES, MeteredOracle, PooledOracle, SpaceExhausted, Unheeded
from robench.search.port import Candidates, Job, SearchVictim
from robench.search.space import BudgetSpent, Choice
from robench.search.texts import FreeOracle, rule_texts
from robench.search.whitebox import OpenOracle, check_access

__all__ = ["Engine", "Job", "run", "stream"]

logger = logging.getLogger(__name__)

BATCH = 16
"""Jobs taken at once (one question for their clean predictions), and finished searches judged at once."""
LONGEST_WAIT = 4.0
"""Seconds after which a finished search is judged without company: a verdict costs a forward of eight rows at least, for one text as for eight."""


def run(
    victim: SearchVictim,
    attack: Attack,
    attack_name: str,
    jobs: Iterable[Job],
    seed: int,
    budget: int | None = None,
    *,
    precision: Precision = "fp32",
    shapes: Shapes | None = None,
    most_live: int = 256,
) -> Iterator[Trial]:
    """Attack every job and yield its trial as soon as it is judged, in any order.

    Args:
        attack_name: part of every example's random stream.
        seed: of the run; an example's stream is a function of seed, attack name and example id and of nothing else.
        budget: rows a search may ask about, repeats included; none for no bound. Of a question that exceeds it the first rows are asked, and a text among
            them that fools the victim counts.
        precision: of the searches' forwards. In bf16 nothing is proved, and doubtful answers are asked again (``robench.search.precision``).
        shapes: of the forwards; those that suit the victim's device unless given.
        most_live: searches in flight at most.
    """
    engine = Engine(victim, attack, attack_name, seed, budget, precision=precision, shapes=shapes, most_live=most_live)
    yield from engine.trials(_batches(jobs))


def stream(seed: int, attack_name: str, example_id: str) -> np.random.Generator:
    """The random stream of one example."""
    digest = hashlib.sha256("\x1f".join((str(seed), attack_name, example_id)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


@dataclass(eq=False)
class _Search:
    """One example in flight. ``exact``: asked in fp32; ``free``: outside the surface; ``problem`` makes it an ERROR, ``note`` does not."""

    job: Job
    prediction: int
    turn: int
    exact: bool
    free: bool
    oracle: MeteredOracle | None = None
    thread: greenlet | None = None
    returned: object = None
    problem: str | None = None
    note: str | None = None
    seconds: float = 0.0

    @property
    def proved(self) -> bool:
        """Whether no text of the space fools the victim: all were answered in fp32, or the clean text is the only one."""
        if self.free:
            return False
        return self.job.space.cardinality == 1 or (self.exact and self.oracle is not None and self.oracle.exhausted)

    @property
    def claims(self) -> list[object]:
        """What the core is asked to believe, the better first: what the search returned, then the first successes that it saw or could have seen."""
        if self.problem is not None or self.proved:
            return []
        seen = self.oracle.successes if self.oracle is not None else []
        return [claim for claim in (self.returned, *seen) if claim is not None]

    def recall(self, choice: Choice) -> int | None:
        """See ``robench.search.judge.Recall``."""
        return self.oracle.prediction(choice) if self.exact and isinstance(self.oracle, PooledOracle) else None

    def trial(self, ruling: Ruling | None) -> Trial:
        """What became of it; ``ruling`` where the core was asked to believe a choice."""
        if self.problem is not None:
            ruling = Ruling(Verdict.ERROR, problem=self.problem)
        elif ruling is None:
            ruling = Ruling(Verdict.HELD_PROVED if self.proved else Verdict.HELD, problem=self.note)
        return Trial(
            id=self.job.example.id,
            verdict=ruling.verdict,
            label=self.job.example.label,
            prediction=self.prediction,
            adversarial_prediction=ruling.adversarial_prediction,
            changes=ruling.changes,
            text=ruling.text,
            asked=self.oracle.asked if self.oracle else 0,
            forwarded=self.oracle.forwarded if self.oracle else 0,
            seconds=round(self.seconds, 6),
            problem=ruling.problem,
        )


class Engine:
    """One run over one victim; ``run`` is the short way to it."""

    def __init__(
        self,
        victim: SearchVictim,
        attack: Attack,
        attack_name: str,
        seed: int,
        budget: int | None,
        *,
        precision: Precision = "fp32",
        shapes: Shapes | None = None,
        most_live: int = 256,
    ) -> None:
        check_access(attack, attack_name, victim)
        self._victim, self._attack, self._name = victim, attack, attack_name
        self._seed, self._budget, self._most_live = seed, budget, most_live
        self._pool = Pool(victim, shapes or Shapes.of(victim), precision)
        self._ready: deque[_Search] = deque()
        self._arrivals: deque[_Search] = deque()
        self._live: set[_Search] = set()
        self._finished: list[_Search] = []
        self._finished_at = 0.0
        self._turns = 0
        self._early: list[Trial] = []

    def trials(self, batches: Iterator[Sequence[Job]]) -> Iterator[Trial]:
        """Attack what ``batches`` hands out; the next batch is asked for only when there is room for it.

        Ctrl-C, SystemExit (a signal's handler may raise it) and an error in ``batches`` come through after the trials whose searches had finished.
        """
        try:
            while self._step(batches):
                yield from self._settled()
            yield from self._settled(all_of_them=True)
        except (KeyboardInterrupt, SystemExit, Exception):
            yield from self._settled(all_of_them=True)
            raise
        finally:
            self._close()

    def _step(self, batches: Iterator[Sequence[Job]]) -> bool:
        """Resume a search, let one in, or ask the victim, in this order of preference; False when nothing is left to do."""
        if self._ready:
            self._resume(self._ready.popleft())
            return True
        lane = self._pool.full()
        if lane is None and len(self._live) < self._most_live and self._admit(batches):
            return True
        lane = self._pool.fullest() if lane is None else lane
        if lane is None:
            return False
        for question in self._pool.forward(lane):
            if question.failure is not None:
                self._pool.forget(question)
            self._ready.append(question.asker)
        return True

    def _admit(self, batches: Iterator[Sequence[Job]]) -> bool:
        """Start one more search; False when there are no more jobs."""
        if not self._arrivals:
            jobs = next(batches, None)
            if jobs is None:
                return False
            self._arrivals.extend(self._attackable(jobs))
        if self._arrivals:
            search = self._arrivals.popleft()
            self._live.add(search)
            search.thread = greenlet(self._search)
            self._resume(search, search)
        return True

    def _attackable(self, jobs: Sequence[Job]) -> Iterator[_Search]:
        """Those that the victim has right; the others get their trial at once."""
        for job, prediction in zip(jobs, clean_predictions(self._victim, jobs), strict=True):
            example = job.example
            if isinstance(prediction, Exception):
                problem = f"the victim broke on the clean text: {type(prediction).__name__}: {prediction}"
                self._early.append(Trial(id=example.id, verdict=Verdict.ERROR, label=example.label, prediction=None, problem=problem))
            elif prediction != example.label:
                self._early.append(Trial(id=example.id, verdict=Verdict.WRONG, label=example.label, prediction=prediction))
            else:
                self._turns += 1
                yield _Search(job, prediction, self._turns, exact=self._pool.precision == "fp32", free=self._attack.outside)

    def _resume(self, search: _Search, *first: _Search) -> None:
        """Let a search run until it asks or ends."""
        assert search.thread is not None
        started = perf_counter()
        search.thread.switch(*first)
        search.seconds += perf_counter() - started
        if search.thread.dead:
            self._live.discard(search)
            self._finished.append(search)
            self._finished_at = self._finished_at or perf_counter()

    def _search(self, search: _Search) -> None:
        """The body of a search's greenlet: nothing that a plugin raises gets out, but for what shall end the process."""
        try:
            search.returned = self._found(search, stream(self._seed, self._name, search.job.example.id))
        except (KeyboardInterrupt, SystemExit, GreenletExit):
            raise
        except BaseException as error:
            self._ended(search, error.reason if isinstance(error, Unheeded) else error)

    def _ended(self, search: _Search, reason: BaseException) -> None:
        """A search ended otherwise than by returning."""
        if isinstance(reason, SpaceExhausted):
            search.note = None if search.exact else "the whole space was answered without a success, but in bf16, which proves nothing"
        elif isinstance(reason, BudgetSpent):
            search.note = f"the budget of {self._budget} rows was spent"
        else:
            logger.debug("the search of %s broke", search.job.example.id, exc_info=True)
            search.problem = f"{type(reason).__name__}: {reason}"

    def _found(self, search: _Search, rng: np.random.Generator) -> object:
        """What the attack returns, asking an oracle of its kind."""
        job, label = search.job, search.job.example.label
        if isinstance(self._attack, FreeAttack):
            texts = search.oracle = FreeOracle(self._victim, job, partial(self._ask, search), self._budget)
            return self._attack.rewrite(job.example.fields[self._victim.attackable], texts, label, rng)
        oracle = search.oracle = self._oracle(search)
        return self._attack.search(job.space, restricted(oracle, self._attack.access), label, rng)

    def _oracle(self, search: _Search) -> PooledOracle:
        fields, job = self._victim.encoder_fields, search.job
        aligned = self._victim.table.mode == "word"
        candidates = fields.candidates(job.words, job.space)
        ask = partial(self._ask, search)
        kind = partial(OpenOracle, self._victim) if self._attack.access == "gradients" else PooledOracle
        return kind(job.space, candidates, job.example.label, ask, self._budget, aligned=aligned, longest=fields.max_tokens)

    def _ask(self, search: _Search, candidates: Candidates, ids: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        """Called in a search's greenlet: park it until the pool has its answers."""
        question = Question(search, len(ids), search.turn, search.job.example.label)
        self._pool.put(question, candidates, ids, lengths)
        getcurrent().parent.switch()
        search.seconds += question.seconds
        if question.failure is not None:
            raise RuntimeError(f"the victim broke: {type(question.failure).__name__}: {question.failure}") from question.failure
        return question.answers

    def _settled(self, all_of_them: bool = False) -> Iterator[Trial]:
        """Trials that are certain; finished searches are judged some at a time, but none waits for much more than ``LONGEST_WAIT``."""
        early, self._early = self._early, []
        yield from early
        due = len(self._finished) >= BATCH or perf_counter() - self._finished_at > LONGEST_WAIT
        if not self._finished or not (due or all_of_them):
            return
        finished, self._finished, self._finished_at = self._finished, [], 0.0
        yield from self._judged(finished)

    def _judged(self, finished: Sequence[_Search]) -> list[Trial]:
        rulings: dict[_Search, Ruling] = {}
        for number in range(1 + SUCCESSES):  # what a search returned, and where that is not believed, what it had seen, one after the other
            claims = [search for search in finished if len(search.claims) > number and (number == 0 or rulings[search].verdict == Verdict.HELD)]
            jobs, returned = [search.job for search in claims], [search.claims[number] for search in claims]
            if self._attack.outside:
                found = rule_texts(self._victim, jobs, returned)
            else:
                found = rule(self._victim, jobs, returned, [search.recall for search in claims])
            for search, ruling in zip(claims, found, strict=True):
                if number == 0 or ruling.verdict != Verdict.HELD:  # of several that are not believed the first is told
                    rulings[search] = ruling
        trials = [search.trial(rulings.get(search)) for search in finished]
        for search in finished:
            if search.oracle is not None:
                search.oracle.close()
            search.oracle = search.thread = None
        return trials

    def _close(self) -> None:
        """End what is still in flight, so that no greenlet outlives the run."""
        for search in list(self._live):
            if search.thread is not None and not search.thread.dead:
                search.thread.throw(GreenletExit)
        self._live.clear()


def _batches(jobs: Iterable[Job]) -> Iterator[Sequence[Job]]:
    remaining = iter(jobs)
    while batch := list(islice(remaining, BATCH)):
        yield batch
