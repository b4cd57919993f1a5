"""Checks that every attack must pass, against victims whose weakness is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.search.attack import Attack, Trial, Verdict
from robench.search.registry import ATTACKS
from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes
from robench.search.workers import WorkerPlan, run_workers
from robench.testing.attacked_texts import (
    BUDGET,
    SUBSTITUTES,
    VOCABULARY,
    WORDS,
    scaled,
    trigger_jobs,
)
from robench.testing.spaces import check_against_the_truth
from robench.testing.subject import Subject, fooled
from robench.testing.victims import UNKNOWN, FakeVictim, linear_jobs, load_linear, make_job

HELD = {Verdict.HELD, Verdict.HELD_PROVED}


def check_attack(
    attack: str | type[Attack], *, options: Mapping[str, Any] | None = None, **claims: Any
) -> None:
    """Run every check on an attack, which takes seconds to a minute.

    Args:
        attack: its registered name, or the registered class.
        options: options of the attack, by name, if its defaults take too long for a test.
        claims: ``least_found``, ``scale_free``, ``evolves``; see ``Subject``.

    Raises:
        AssertionError: a check failed; the sentence says what the attack did.
    """
    subject = Subject.of(attack, options=dict(options or {}), **claims)
    for check in ATTACK_CHECKS.values():
        check(subject)


def check_description(subject: Subject) -> None:
    """Check that the attack says what it is, where it comes from and what it needs."""
    cls = subject.cls
    subject.require(len(cls.paper) > 20, "'paper' is no citation; a baseline says 'none: …'")
    subject.require(bool(cls.__doc__), "it has no docstring")
    subject.require(
        cls.access in ("probabilities", "labels", "gradients"), f"its access is {cls.access!r}"
    )
    subject.require(
        all(deviation.endswith(".") for deviation in cls.deviations),
        "each of its deviations must be a sentence",
    )
    undescribed = [
        name for name, option in cls.Options.model_fields.items() if not option.description
    ]
    subject.require(not undescribed, f"options without a description: {', '.join(undescribed)}")
    cls.Options()


def check_planted_triggers(subject: Subject) -> None:
    """Check that a single word that fools is found wherever it stands.

    The victims have two or three classes and logits of different scale.
    """
    for bias, weights, factor in (
        ((4, 0), [0, 9], 1),
        ((4, 0, 0), [0, 0, 9], 1),
        ((0, 4), [9, 0], 1),
        ((4, 0), [0, 9], 0.1),
        ((4, 0), [0, 9], 10),
    ):
        victim = FakeVictim({"trigger": weights}, words=VOCABULARY, bias=bias, twist=scaled(factor))
        trials = subject.trials(victim, trigger_jobs(12, label=int(np.argmax(bias))))
        found = len(fooled(trials))
        subject.require(
            found >= subject.least_found * len(trials),
            f"{found} of {len(trials)} planted trigger words were found"
            f" ({len(bias)} classes, logits times {factor}),"
            f" at least {subject.least_found:.0%} must be",
        )
        for trial in trials.values():
            changed = {change.substitute for change in trial.changes}
            subject.require(
                trial.verdict != Verdict.FOOLED or "trigger" in changed,
                f"a success without the trigger, by {sorted(changed)}",
            )


def check_unfoolable_victim(subject: Subject) -> None:
    """Check that no success is claimed on a victim that ignores the attackable words."""
    victim = FakeVictim({"yes": [9, 0], "no": [0, 9]}, words=VOCABULARY)
    jobs = []
    for number in range(8):
        text = " ".join(random.Random(number).choices(WORDS, k=number))
        label = number % 2
        premise = ("yes", "no")[label]
        jobs.append(make_job(text, SUBSTITUTES, label=label, number=number, premise=premise))
    for trial in subject.trials(victim, jobs, budget=BUDGET * 4).values():
        subject.require(
            trial.verdict in HELD and not trial.changes,
            "it claims to have fooled a victim that reads nothing of the attackable words:"
            f" {trial}",
        )


def check_surface(subject: Subject) -> None:
    """Check that the attack stays inside the surface and returns texts that fool.

    Only visible words of the attackable field may change, each into one of its substitutes.
    """
    victim = FakeVictim(
        {f"{word}b": [0, 2] for word in WORDS},
        words=[*VOCABULARY, "premise"],
        bias=(5, 0),
        max_tokens=14,
    )
    jobs = [
        make_job(
            " ".join(random.Random(number).choices(WORDS, k=30)),
            SUBSTITUTES,
            number=number,
            visible=10,
            premise="premise premise",
        )
        for number in range(12)
    ]
    trials = subject.trials(victim, jobs)
    if subject.least_found == 1:
        subject.require(
            bool(fooled(trials)),
            "it fooled no victim although three substitutes of ten are enough",
        )
    for job in jobs:
        trial = trials[job.example.id]
        subject.require(trial.problem is None, f"the core did not believe it: {trial.problem}")
        words = list(job.space.words)
        for change in trial.changes:
            inside = (
                change.position < 10
                and change.original == words[change.position]
                and change.substitute in SUBSTITUTES[change.original]
            )
            subject.require(inside, f"a change outside the surface or the window: {change}")
            words[change.position] = change.substitute
        if trial.verdict == Verdict.FOOLED:
            answer = victim.probs_of_texts([{**job.example.fields, "text": " ".join(words)}])
            subject.require(
                int(answer.argmax()) != job.example.label,
                "the victim is right on the text that the trial describes",
            )


def check_budget(subject: Subject) -> None:
    """Check that the budget is kept, and that a larger budget never fools fewer.

    A search with enough queries says after how many of them the victim was fooled. A budget of so
    many must be enough.
    """
    results = []
    for budget in (1, 40, BUDGET, 4 * BUDGET):
        trials = subject.trials(load_linear(), linear_jobs(20), budget=budget)
        subject.require(
            all(trial.asked <= budget for trial in trials.values()),
            f"it made more queries than the budget of {budget}",
        )
        results.append((budget, fooled(trials)))
    for budget, found in results:
        early = {
            id_ for id_, trial in trials.items() if (trial.asked_at_success or budget + 1) <= budget
        }
        subject.require(
            early <= found,
            f"its trials say that {budget} queries fool {sorted(early - found)}, and a search with"
            " that budget does not",
        )
    for (less, few), (more, many) in pairwise(results):
        subject.require(
            few <= many,
            f"with {more} queries it fails on {sorted(few - many)}, where {less} were enough",
        )


def check_small_budgets(subject: Subject) -> None:
    """Check that a budget smaller than one query is spent too, and that its finds count."""
    victim = FakeVictim({f"{word}b": [0, 9] for word in WORDS}, words=VOCABULARY, bias=(4, 0))
    jobs = [make_job(" ".join(WORDS), SUBSTITUTES, number=number) for number in range(5)]
    for budget in (45, 90):
        found = len(fooled(subject.trials(victim, jobs, budget=budget)))
        subject.require(
            found >= subject.least_found * len(jobs),
            f"{found} of {len(jobs)} found with {budget} queries, where every second substitution"
            " fools",
        )


def check_last_query(subject: Subject) -> None:
    """Check that a success in the last query counts.

    The search must look at the answers to its last query like at all others.
    """
    for job in linear_jobs(6, words=5):
        if len(job.space.positions) < 2:
            continue
        log: list[NDArray[np.int32]] = []
        robust = load_linear()
        robust.bias = np.array((100, 0), dtype=np.float32)
        subject.alone(robust, job, log)
        last = log[-1] if log else np.full((1, 1), UNKNOWN)
        # Such a search ended with a query outside the space, which cannot be a success.
        if (last == UNKNOWN).any():
            continue
        weak = {row.tobytes() for row in last}
        robust.twist = partial(_wrong_on, weak)
        found = subject.alone(robust, job, [])
        subject.require(
            found is not None,
            f"text {job.space.words}: all rows of its last query ({len(last)}) fool the victim,"
            " and it returned none of them",
        )
        ids, _ = robust.encoder_fields.candidates(job.words, job.space, job.example.fields).encode(
            np.asarray(found)[None]
        )
        subject.require(ids[0].tobytes() in weak, "it returned another text than those that fool")


def _wrong_on(
    rows: set[bytes], ids: NDArray[np.int32], logits: NDArray[np.float32]
) -> NDArray[np.float32]:
    weak = np.array([row.tobytes() in rows for row in ids])
    return np.where(weak[:, None], logits[:, ::-1], logits)


def check_odd_texts(subject: Subject) -> None:
    """Check texts at the edges of real data.

    These are empty texts, single words, texts without substitutes, one repeated word, 10,000
    words, and equal texts that are separate examples.
    """
    victim = FakeVictim({}, words=[*VOCABULARY, "nothing", "here"], bias=(4, 0))
    texts: list[tuple[str, int | None]] = [
        ("", None),
        ("w3", None),
        ("w3", 0),
        ("nothing here", None),
        ("w1 " * 30, None),
        (" ".join(WORDS * 334), 298),
    ]
    for text, visible in texts:
        job = make_job(text, SUBSTITUTES, visible=visible)
        (trial,) = subject.trials(victim, [job], budget=4 * BUDGET).values()
        subject.require(
            trial.verdict in HELD,
            f"a text of {len(job.space.words)} words: {trial.verdict}, {trial.problem}",
        )
        if job.space.cardinality == 1:
            proved = trial.verdict == Verdict.HELD_PROVED and trial.asked == 0
            subject.require(proved, "it queries a text in which nothing can be changed")
    equal = [make_job("w1 w2 w3 w4", SUBSTITUTES, number=number) for number in range(4)]
    trials = subject.trials(FakeVictim({"w2b": [0, 9]}, words=VOCABULARY, bias=(4, 0)), equal)
    subject.require(
        len(fooled(trials)) >= subject.least_found * len(equal),
        "equal texts have different outcomes",
    )


def check_packing(subject: Subject) -> None:
    """Check that the trials do not depend on how the run is organised.

    The order of the examples, the filling of the forward passes, the number of searches at a time
    and the state of the global generators must make no difference.
    """
    jobs = linear_jobs(12)
    usual = subject.trials(load_linear(), jobs, budget=BUDGET)
    for shapes, max_running, order in (
        (Shapes(tokens=64, most=4, floor=1), 256, 1),
        (Shapes(tokens=300, most=16, floor=16, fixed=True), 3, 2),
        (Shapes(), 1, 3),
    ):
        np.random.seed(order)
        other = subject.trials(
            load_linear(),
            random.Random(order).sample(jobs, len(jobs)),
            shapes=shapes,
            max_running=max_running,
            budget=BUDGET,
        )
        subject.require(
            other == usual,
            f"other trials with order {order}, {shapes}, {max_running} searches at once:"
            " it keeps state, or draws from elsewhere than rng",
        )
        subject.require(
            np.random.random() == np.random.RandomState(order).random(),
            "it draws from numpy's global generator",
        )


def check_workers(subject: Subject) -> None:
    """Check that two worker processes give the same trials.

    An attack that only this process knows is skipped.
    """
    origin = ATTACKS.origin(subject.name)
    if origin == "registered in this process":
        return
    jobs = linear_jobs(8)
    usual = subject.trials(load_linear(), jobs, budget=BUDGET)
    plan = WorkerPlan(
        victim=Path(),
        attack=subject.name,
        options=subject.options,
        settings=SearchSettings(budget=BUDGET),
        load=load_linear,
    )
    other = {
        trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in run_workers(plan, jobs, 2)
    }
    subject.require(other == usual, "two workers give other trials than one process")


def check_scale(subject: Subject) -> None:
    """Check a claim of ``scale_free``: logits times 0.1 or 10 change no trial."""
    if not subject.scale_free:
        return
    # The probabilities of the two texts do change.
    apart = {"probs": None, "adversarial_probs": None}

    def trials(victim: FakeVictim) -> dict[str, Trial]:
        found = subject.trials(victim, linear_jobs(12), budget=BUDGET)
        return {example: trial.model_copy(update=apart) for example, trial in found.items()}

    usual = trials(load_linear())
    for factor in (0.1, 10):
        victim = load_linear()
        victim.twist = scaled(factor)
        other = trials(victim)
        differing = sorted(example for example in usual if usual[example] != other[example])
        subject.require(
            not differing, f"logits times {factor} change the trials of {', '.join(differing)}"
        )


def check_selection(subject: Subject) -> None:
    """Check a claim of ``evolves``: the fittest texts are the most frequent parents.

    At the end most texts must have what makes them fit. Here one substitute brings the victim near
    to its border. Every other substitute helps a little, and none fools. A search that prefers the
    worst as parents, as TextAttack 0.3.11 does, ends with that substitute in few texts.
    """
    if not subject.evolves:
        return
    others = {substitute: [0, 1 / 64] for word in WORDS[1:] for substitute in SUBSTITUTES[word]}
    victim = FakeVictim(others | {"trigger": [0, 3.25]}, words=[*WORDS, "w0a"], bias=(4, 0))
    job = make_job(" ".join(WORDS), {**SUBSTITUTES, "w0": ["trigger", "w0a"]})
    log: list[NDArray[np.int32]] = []
    subject.alone(victim, job, log)
    asked = np.concatenate(log[-3:])
    share = float((asked == victim.table.numbers["trigger"]).any(axis=1).mean())
    subject.require(
        share > 0.5,
        f"only {share:.0%} of the last texts have the substitute that is by far the fittest:"
        " are the worst the parents?",
    )


ATTACK_CHECKS: dict[str, Callable[[Subject], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_description,
        check_planted_triggers,
        check_unfoolable_victim,
        check_surface,
        check_budget,
        check_small_budgets,
        check_last_query,
        check_odd_texts,
        check_against_the_truth,
        check_packing,
        check_workers,
        check_scale,
        check_selection,
    )
}
"""Every check by its name."""
