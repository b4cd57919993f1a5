"""No search decides its own verdict, budget, counters or proof.

Each search of ``lying_searches`` runs between honest ones, on victims that some text fools and on
victims that no text fools. What is expected is the truth, or an ERROR that says why.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from engine_cases import SUBSTITUTES, Everything, victim_that_dislikes
from fake_victims import make_job
from greenlet import greenlet
from lying_searches import LIES

from robench import Attack, Choice, FreeAttack, Oracle, SearchSpace, TextOracle, Trial, Verdict
from robench._base.errors import UsageError
from robench.search.access import Access
from robench.search.batching import Pool
from robench.search.engine import Engine, run
from robench.search.example_run import ExampleRun
from robench.search.jobs import Job
from robench.search.oracle import MeteredOracle
from robench.search.problems import MOST
from robench.search.settings import SearchSettings

LIAR = 3
BUDGET = 5
JOBS = [
    make_job("a good film", SUBSTITUTES, number=1),
    make_job("film", SUBSTITUTES, number=2),
    make_job("a good film a", SUBSTITUTES, number=LIAR),
    make_job("good a", SUBSTITUTES, number=4),
    make_job("film good", SUBSTITUTES, number=5),
]
SPACE = JOBS[2].space


class Liar(Everything):
    """Searches honestly, but for the text of four words, where it does what it is given."""

    def __init__(self, lie: Callable[..., object]) -> None:
        super().__init__()
        self._lie = lie

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        if len(space.words) == 4:
            return self._lie(space, oracle, label, rng)  # type: ignore[return-value]
        return super().search(space, oracle, label, rng)


def attacked(attack: Attack, jobs: list[Job], *disliked: str) -> dict[str, Trial]:
    victim = victim_that_dislikes(*disliked)
    found = run(victim, attack, "doing", jobs, SearchSettings(budget=BUDGET))
    return {trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in found}


@cache
def honest(*disliked: str) -> dict[str, Trial]:
    """Return the trials of an honest search of the other texts."""
    return attacked(Everything(), [job for job in JOBS if job is not JOBS[2]], *disliked)


@pytest.mark.parametrize("disliked", [(), ("movie",)])
@pytest.mark.parametrize("name", LIES)
def test_a_lying_search_decides_nothing(name: str, disliked: tuple[str, ...]) -> None:
    trials = attacked(Liar(LIES[name]), JOBS, *disliked)
    trial = trials.pop(JOBS[2].example.id)
    # With a budget of 5 nobody can have seen all 6 texts of the space.
    assert trial.verdict in {Verdict.HELD, Verdict.ERROR, Verdict.FOOLED}
    if trial.verdict == Verdict.FOOLED:
        assert {change.substitute for change in trial.changes} & set(disliked)
    if trial.verdict == Verdict.ERROR:
        assert trial.problem
    assert 0 <= trial.forwarded <= trial.asked <= BUDGET
    problem = (trial.problem or "").encode().decode()
    assert len(problem) <= MOST
    assert problem.isprintable()
    Trial.model_validate_json(trial.model_dump_json())
    assert trials == honest(*disliked)
    # Nothing stays behind for the next run either, and the space is what it was.
    assert attacked(Everything(), JOBS, *disliked).items() >= honest(*disliked).items()
    assert (SPACE.cardinality, SPACE.sizes.tolist()) == (6, [1, 3, 2, 1])
    assert SPACE.positions.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("says_that_the_space_is_exhausted", "an oracle can only be asked: 'exhausted' cannot"),
        ("says_that_the_space_has_one_text", "AttributeError"),
        ("asks_in_a_thread", "answers inside its own search only"),
        ("asks_in_another_greenlet", "answers inside its own search only"),
        ("raises_the_end_of_the_space", "the attack raised SpaceExhausted"),
        ("raises_an_end_of_its_own_class", "Mine"),
        ("exits", "SystemExit: 0"),
        ("interrupts", "KeyboardInterrupt"),
        ("ends_its_greenlet", "GreenletExit"),
        ("recurses", "RecursionError"),
        ("raises_what_has_no_message", "_Mute"),
        ("complains_at_length", r"ValueError: \x1b[31m\ud800xxx"),
        ("switches_to_the_engine", "left its greenlet"),
        ("throws_into_the_engine", "left its greenlet"),
        ("asks_a_thousand_million_rows", "ask in parts"),
        ("is_a_generator", "instead of a choice"),
        ("asks_with_an_array_that_lies", "outside the space"),
        ("sends_rubbish_to_the_core", None),
        ("gives_itself_another_parent", None),
        ("looks_through_frames_and_tracebacks", None),
    ],
)
def test_the_trial_says_what_the_search_did(name: str, sentence: str | None) -> None:
    trial = attacked(Liar(LIES[name]), [JOBS[2]])[JOBS[2].example.id]
    if sentence is None:
        assert trial.verdict in {Verdict.HELD, Verdict.ERROR}
    else:
        assert trial.verdict == Verdict.ERROR
        assert sentence in (trial.problem or "")


def test_a_budget_is_not_lifted() -> None:
    trial = attacked(Liar(LIES["lifts_the_budget"]), [JOBS[2]])[JOBS[2].example.id]
    assert (trial.verdict, trial.asked) == (Verdict.HELD, BUDGET)


def test_a_search_that_swallows_its_end_is_left_and_its_successes_count() -> None:
    def swallows(space: Any, oracle: Any, *_: Any) -> object:
        choice = np.array([[0, 0, 1, 0]], dtype=np.int16)
        while True:
            try:
                oracle.logits(choice)
            except BaseException:
                continue

    trial = attacked(Liar(swallows), [JOBS[2]], "movie")[JOBS[2].example.id]
    assert (trial.verdict, trial.asked) == (Verdict.FOOLED, BUDGET)


CORE = (MeteredOracle, ExampleRun, Engine, Pool, Job)


def reachable(*things: Any) -> list[Any]:
    """Return what can be reached by attributes, closures and contents, greenlets left out."""
    seen, waiting = {}, list(things)
    while waiting:
        thing = waiting.pop()
        stop = (type, types.ModuleType, greenlet, str, bytes, int, float)
        if id(thing) in seen or isinstance(thing, stop):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, dict):
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset)):
            waiting += thing
        if isinstance(thing, types.FunctionType):
            waiting += [cell.cell_contents for cell in thing.__closure__ or ()]
            continue
        for name in dir(thing):
            try:
                if name not in ("__globals__", "__builtins__"):
                    waiting.append(object.__getattribute__(thing, name))
            except Exception:
                continue
        if len(seen) > 20_000:
            break
    return list(seen.values())


@pytest.mark.parametrize("access", ["probabilities", "labels", "gradients"])
def test_nothing_that_a_search_holds_leads_to_the_core(access: Access) -> None:
    class Looking(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            held.extend(reachable(space, oracle, label, rng))
            spaces.append(space)
            return None

    held: list[Any] = []
    spaces: list[SearchSpace] = []
    Looking.access = access
    trials = list(run(victim_that_dislikes(), Looking(), "looking", [JOBS[2]]))
    assert [(trial.verdict, trial.problem) for trial in trials] == [(Verdict.HELD, None)]
    assert held
    assert not [thing for thing in held if isinstance(thing, CORE)]
    assert spaces[0] == SPACE
    assert spaces[0] is not SPACE
    assert not any(thing is SPACE or thing is SPACE.sizes for thing in held)


def test_an_oracle_that_is_kept_answers_nobody_else() -> None:
    kept: list[Oracle] = []
    refusals = []

    class Keeping(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            oracle.logits(space.original()[None])
            for other in kept:
                with pytest.raises(RuntimeError, match="not for another example") as refused:
                    other.logits(space.original()[None])
                refusals.append(refused)
            kept.append(oracle)
            return None

    trials = list(run(victim_that_dislikes(), Keeping(), "keeping", JOBS))
    assert {trial.asked for trial in trials} == {1}
    assert len(refusals) == 10
    for other in kept:
        with pytest.raises(RuntimeError, match="inside its own search only"):
            other.logits(SPACE.original()[None])


def test_an_attack_cannot_raise_its_access_while_it_runs() -> None:
    class Turncoat(Attack):
        access: ClassVar[Access] = "labels"

        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            type(self).access = "probabilities"
            attack.access = "probabilities"  # type: ignore[misc]
            seen.append(oracle.logits(space.original()[None]).tolist())
            return None

    seen: list[Any] = []
    attack = Turncoat()
    list(run(victim_that_dislikes(), attack, "turncoat", JOBS, max_running=1))
    assert seen == [[[1, 0]]] * len(JOBS)


def test_an_attack_cannot_leave_the_surface_while_it_runs() -> None:
    class Writer(FreeAttack):
        def rewrite(
            self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
        ) -> str | None:
            return "movie"

    class Leaving(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            self.__class__ = attack.__class__ = Writer  # type: ignore[assignment]
            return "movie"  # type: ignore[return-value]

    attack = Leaving()
    trials = list(run(victim_that_dislikes("movie"), attack, "leaving", JOBS, max_running=1))
    assert {trial.verdict for trial in trials} == {Verdict.ERROR}


@pytest.mark.parametrize("access", ["everything", "", None, 7])
def test_an_unknown_access_is_refused(access: Any) -> None:
    attack = Everything()
    attack.access = access  # type: ignore[misc]
    with pytest.raises(UsageError, match="'odd' declares an access that does not exist"):
        list(run(victim_that_dislikes(), attack, "odd", JOBS))


def test_an_attribute_set_for_one_example_is_not_seen_by_the_next() -> None:
    class Counting(Attack):
        count = 0

        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            self.count += 1
            counts.append(self.count)
            return None

    counts: list[int] = []
    list(run(victim_that_dislikes(), Counting(), "counting", JOBS))
    assert counts == [1] * len(JOBS)
